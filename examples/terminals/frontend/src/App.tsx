import { useCallback, useEffect, useState } from "react";

import { type Login, logOut, Refused, sentence, whoAmI } from "./api";
import { LoginForm } from "./LoginForm";
import { remember, remembered } from "./session";
import { Workspace } from "./Workspace";

export function App() {
  const [login, setLogin] = useState<Login | null>(remembered);
  const [notice, setNotice] = useState("");

  const leave = useCallback((why: string) => {
    remember(null);
    setLogin(null);
    setNotice(why && sentence(why));
  }, []);

  // A remembered token may have been revoked; a backend that does not answer says nothing about it.
  useEffect(() => {
    const known = remembered();
    if (!known) return;
    whoAmI(known.token).catch((error: unknown) => {
      if (error instanceof Refused && error.status === 401) leave(error.message);
    });
  }, [leave]);

  const enter = useCallback((entered: Login) => {
    remember(entered);
    setNotice("");
    setLogin(entered);
  }, []);

  const end = useCallback(() => {
    // The session ends in this browser whatever the backend answers. The request needs the token, so it is sent first.
    if (login) logOut(login.token).catch(() => undefined);
    leave("you are logged out");
  }, [leave, login]);

  const forget = useCallback(() => setNotice(""), []);

  return login ? <Workspace login={login} onLogOut={end} onEnd={leave} /> : <LoginForm notice={notice} onChange={forget} onLogin={enter} />;
}
