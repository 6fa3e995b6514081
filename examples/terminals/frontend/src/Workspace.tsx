import { useEffect, useState } from "react";

import type { Login } from "./api";
import { type Line, useConnection } from "./connection";
import { TerminalPane } from "./TerminalPane";

const WORDS: Record<Line, string> = {
  connecting: "Connecting…",
  connected: "Connected",
  disconnected: "Disconnected: trying again…",
  reconnected: "Connected",
};

interface Props {
  login: Login;
  onLogOut: () => void;
  onEnd: (reason: string) => void;
}

export function Workspace({ login, onLogOut, onEnd }: Props) {
  const [connection, line] = useConnection(login.token, onEnd);
  const [screenReader, setScreenReader] = useState(false);
  const [told, setTold] = useState(false);
  const connected = line === "connected" || line === "reconnected";

  useEffect(() => {
    if (line === "disconnected") setTold(false);
  }, [line]);

  return (
    <div className="workspace">
      <header className="top">
        <div className="brand">
          <img src="/favicon.svg" alt="" width="26" height="26" />
          <h1>Terminals</h1>
        </div>
        <p className={`line line-${connected ? "connected" : line}`} role="status" data-testid="line" data-line={line}>
          <span className="dot" aria-hidden="true" />
          {WORDS[line]}
        </p>
        <div className="who">
          <label className="check">
            <input type="checkbox" checked={screenReader} onChange={(event) => setScreenReader(event.target.checked)} />
            Screen reader
          </label>
          <span data-testid="who">{login.username}</span>
          <button type="button" onClick={onLogOut} data-testid="log-out">
            Log out
          </button>
        </div>
      </header>
      {line === "disconnected" && (
        <p className="banner banner-lost" role="alert" data-testid="banner">
          The connection to the backend is lost, and the terminals with it. This page reconnects by itself.
        </p>
      )}
      {line === "reconnected" && !told && (
        <p className="banner banner-back" role="status" data-testid="banner">
          Reconnected. Terminals that were open have ended: open new ones.
          <button type="button" onClick={() => setTold(true)} aria-label="Dismiss" data-testid="dismiss">
            Got it
          </button>
        </p>
      )}
      <main className="panes">
        {[1, 2].map((number) => (
          <TerminalPane
            key={number}
            number={number}
            connection={connection}
            connected={connected}
            screenReader={screenReader}
          />
        ))}
      </main>
    </div>
  );
}
