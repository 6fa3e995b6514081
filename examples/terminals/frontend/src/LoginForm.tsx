import { type FormEvent, useId, useState } from "react";

import { type Login, logIn, Refused, register } from "./api";

type Mode = "log-in" | "register";

interface Props {
  /** Why the form is shown; it goes away with the first action. */
  notice: string;
  onChange: () => void;
  onLogin: (login: Login) => void;
}

export function LoginForm({ notice, onChange, onLogin }: Props) {
  const [mode, setMode] = useState<Mode>("log-in");
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const id = useId();

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError("");
    onChange();
    try {
      if (mode === "register") await register(username, password);
      onLogin(await logIn(username, password));
    } catch (refused) {
      setError(refused instanceof Refused ? refused.message : String(refused));
      setBusy(false);
    }
  }

  function choose(chosen: Mode) {
    setMode(chosen);
    setError("");
    onChange();
  }

  const registering = mode === "register";
  return (
    <main className="entry">
      <form className="card" onSubmit={submit} aria-labelledby={`${id}-title`} data-testid="entry">
        <div className="brand">
          <img src="/favicon.svg" alt="" width="40" height="40" />
          <h1 id={`${id}-title`}>Terminals</h1>
        </div>
        <div className="tabs" role="group" aria-label="Log in or register">
          <button type="button" aria-pressed={!registering} onClick={() => choose("log-in")} data-testid="mode-log-in">
            Log in
          </button>
          <button type="button" aria-pressed={registering} onClick={() => choose("register")} data-testid="mode-register">
            Register
          </button>
        </div>
        {notice && (
          <p className="notice" role="status" data-testid="notice">
            {notice}
          </p>
        )}
        <label htmlFor={`${id}-name`}>Name</label>
        <input
          id={`${id}-name`}
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
          required
          value={username}
          onChange={(event) => setUsername(event.target.value)}
          data-testid="username"
        />
        <label htmlFor={`${id}-password`}>Password</label>
        <input
          id={`${id}-password`}
          name="password"
          type="password"
          autoComplete={registering ? "new-password" : "current-password"}
          aria-describedby={registering ? `${id}-rule` : undefined}
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          data-testid="password"
        />
        {registering && (
          <p className="hint" id={`${id}-rule`}>
            At least 8 characters.
          </p>
        )}
        {error && (
          <p className="error" role="alert" data-testid="error">
            {error}
          </p>
        )}
        <button type="submit" className="primary wide" disabled={busy} data-testid="submit">
          {busy ? "One moment…" : registering ? "Register and log in" : "Log in"}
        </button>
      </form>
    </main>
  );
}
