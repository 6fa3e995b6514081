import { useEffect, useState } from "react";

import type { Login } from "./api";
import { type Line, useConnection } from "./connection";
import { TerminalPane } from "./TerminalPane";

const WORDS: Record<Line, string> = {
  connecting: "Connecting…",
  connected: "Connected",
  disconnected: "Disconnected, reconnecting…",
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
  const [dismissed, setDismissed] = useState(false);
  const connected = line === "connected" || line === "reconnected";

  useEffect(() => {
    if (line === "disconnected") setDismissed(false);
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
          <label className="check" title="Announces the output of both terminals to screen readers. It slows down fast output.">
            <input type="checkbox" checked={screenReader} onChange={(event) => setScreenReader(event.target.checked)} />
            Screen reader support
          </label>
          <span data-testid="who">{login.username}</span>
          <button type="button" onClick={onLogOut} data-testid="log-out">
            Log out
          </button>
        </div>
      </header>
      {line === "disconnected" && (
        <p className="banner banner-lost" role="alert" data-testid="banner">
          The connection to the backend is lost and the terminals have ended. This page reconnects automatically.
        </p>
      )}
      {line === "reconnected" && !dismissed && (
        <p className="banner banner-back" role="status" data-testid="banner">
          Reconnected. The terminals that were open have ended: press New to open a shell.
          <button type="button" onClick={() => setDismissed(true)} data-testid="dismiss">
            Dismiss
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
