/**
 * The connection to the backend: one Socket.IO socket per login, which reconnects automatically.
 *
 * Terminals end with the connection that opened them, so nothing is resumed: the page says what happened, and the user
 * opens new ones.
 */

import { io, type Socket } from "socket.io-client";
import { useEffect, useState } from "react";

export interface Output {
  terminal_id: string;
  data: string;
}

export interface Created {
  terminal_id: string;
  request_id: string | null;
}

export interface Closed {
  terminal_id: string;
  reason: string;
}

export interface Failed {
  code: string;
  message: string;
  terminal_id: string | null;
  request_id: string | null;
}

interface FromServer {
  terminal_created: (message: Created) => void;
  terminal_output: (message: Output, acknowledge: () => void) => void;
  terminal_closed: (message: Closed) => void;
  terminal_error: (message: Failed) => void;
  session_ended: (message: { reason: string }) => void;
}

interface ToServer {
  create_terminal: (message: { cols: number; rows: number; request_id: string }) => void;
  terminal_input: (message: { terminal_id: string; data: string }) => void;
  resize: (message: { terminal_id: string; cols: number; rows: number }) => void;
  close_terminal: (message: { terminal_id: string }) => void;
}

export type Connection = Socket<FromServer, ToServer>;

export type Line = "connecting" | "connected" | "disconnected" | "reconnected";

/** The delay before a new attempt after the backend has ended the connection, in milliseconds. */
const AGAIN = 500;

/** The socket of this login and its state. `onEnd` is called when the backend no longer knows the session. */
export function useConnection(token: string, onEnd: (reason: string) => void): [Connection | null, Line] {
  const [socket, setSocket] = useState<Connection | null>(null);
  const [line, setLine] = useState<Line>("connecting");

  useEffect(() => {
    let again: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    let before = false;
    const made: Connection = io({
      auth: { token },
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: AGAIN,
      reconnectionDelayMax: 3000,
      timeout: 5000,
      forceNew: true,
    });
    const end = (reason: string) => {
      ended = true;
      onEnd(reason);
    };
    made.on("connect", () => {
      setLine(before ? "reconnected" : "connected");
      before = true;
    });
    made.on("disconnect", (reason) => {
      setLine("disconnected");
      // The library reconnects after every loss but this one, which may be a restart of the backend.
      if (reason === "io server disconnect" && !ended) again = setTimeout(() => made.connect(), AGAIN);
    });
    made.on("connect_error", (error) => {
      setLine("disconnected");
      // Active: the library tries again. Not active: the backend has refused.
      if (!made.active) end(error.message);
    });
    made.on("session_ended", ({ reason }) => end(reason));
    setSocket(made);
    return () => {
      clearTimeout(again);
      made.disconnect();
      setSocket(null);
      setLine("connecting");
    };
  }, [token, onEnd]);

  return [socket, line];
}
