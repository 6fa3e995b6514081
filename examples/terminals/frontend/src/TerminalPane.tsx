import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { useCallback, useEffect, useReducer, useRef, useState } from "react";

import type { Connection } from "./connection";
import { describe, next, type Pane } from "./pane";

const THEME = {
  background: "#0b1017",
  foreground: "#d7e0ec",
  cursor: "#5eead4",
  cursorAccent: "#0b1017",
  selectionBackground: "#2b4a63",
  black: "#1c2533",
  red: "#ff7b86",
  green: "#6ee7a8",
  yellow: "#f5c97a",
  blue: "#7cb7ff",
  magenta: "#d3a4ff",
  cyan: "#5eead4",
  white: "#d7e0ec",
  brightBlack: "#66758a",
  brightRed: "#ffa3ab",
  brightGreen: "#9af3c4",
  brightYellow: "#ffe0a3",
  brightBlue: "#a8d0ff",
  brightMagenta: "#e6c9ff",
  brightCyan: "#99f6e4",
  brightWhite: "#ffffff",
};

/** The backend takes messages of 128 KiB; a pasted text may be longer. */
const LONGEST_INPUT = 16_384;

/** Programs expect 80 columns: where they do not fit, a smaller font is used, down to a size that can still be read. */
const FONT_SIZE = 14;
const SMALLEST_FONT_SIZE = 11;
const COLUMNS = 80;

function refit(terminal: Terminal, fit: FitAddon): void {
  for (let size = FONT_SIZE; size >= SMALLEST_FONT_SIZE; size -= 1) {
    terminal.options.fontSize = size;
    if ((fit.proposeDimensions()?.cols ?? COLUMNS) >= COLUMNS) break;
  }
  fit.fit();
}

interface Props {
  number: number;
  connection: Connection | null;
  connected: boolean;
  screenReader: boolean;
}

export function TerminalPane({ number, connection, connected, screenReader }: Props) {
  const [pane, dispatch] = useReducer(next, { kind: "empty" } as Pane);
  const [size, setSize] = useState("");
  const place = useRef<HTMLDivElement>(null);
  const screen = useRef<{ terminal: Terminal; fit: FitAddon } | null>(null);
  // For the events of the socket and the screen: the current state, not that of the last rendering.
  const current = useRef<Pane>(pane);
  current.current = pane;

  useEffect(() => {
    const terminal = new Terminal({
      allowProposedApi: false,
      cursorBlink: true,
      fontFamily: 'ui-monospace, "SF Mono", "JetBrains Mono", Menlo, "DejaVu Sans Mono", monospace',
      fontSize: FONT_SIZE,
      lineHeight: 1.15,
      scrollback: 5000,
      theme: THEME,
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(place.current as HTMLDivElement);
    screen.current = { terminal, fit };
    const show = () => setSize(`${terminal.cols} × ${terminal.rows}`);
    terminal.onResize(show);
    refit(terminal, fit);
    show();
    const observer = new ResizeObserver(() => refit(terminal, fit));
    observer.observe(place.current as HTMLDivElement);
    return () => {
      observer.disconnect();
      terminal.dispose();
      screen.current = null;
    };
  }, []);

  useEffect(() => {
    if (screen.current) screen.current.terminal.options.screenReaderMode = screenReader;
  }, [screenReader]);

  useEffect(() => {
    const terminal = screen.current?.terminal;
    if (!connection || !terminal) return;
    const open = () => (current.current.kind === "open" ? current.current.terminalId : null);
    const apply = (event: Parameters<typeof next>[1]) => {
      current.current = next(current.current, event);
      dispatch(event);
    };

    const typed = terminal.onData((data) => {
      const terminal_id = open();
      if (!terminal_id) return;
      for (let from = 0; from < data.length; from += LONGEST_INPUT) {
        connection.emit("terminal_input", { terminal_id, data: data.slice(from, from + LONGEST_INPUT) });
      }
    });
    const resized = terminal.onResize(({ cols, rows }) => {
      const terminal_id = open();
      if (terminal_id) connection.emit("resize", { terminal_id, cols, rows });
    });

    const on = {
      terminal_created: (message: { terminal_id: string; request_id: string | null }) => {
        const before = current.current;
        apply({ type: "created", terminalId: message.terminal_id, requestId: message.request_id });
        if (before === current.current) return;
        terminal.focus();
        // The pane may have changed while the shell was started.
        connection.emit("resize", { terminal_id: message.terminal_id, cols: terminal.cols, rows: terminal.rows });
      },
      terminal_output: (message: { terminal_id: string; data: string }, acknowledge: () => void) => {
        if (message.terminal_id === open()) terminal.write(message.data, acknowledge);
      },
      terminal_closed: (message: { terminal_id: string; reason: string }) =>
        apply({ type: "closed", terminalId: message.terminal_id, reason: message.reason }),
      terminal_error: (message: { terminal_id: string | null; request_id: string | null; message: string }) =>
        apply({
          type: "failed",
          terminalId: message.terminal_id,
          requestId: message.request_id,
          message: message.message,
        }),
      disconnect: () => apply({ type: "disconnected" }),
    };
    connection.on("terminal_created", on.terminal_created);
    connection.on("terminal_output", on.terminal_output);
    connection.on("terminal_closed", on.terminal_closed);
    connection.on("terminal_error", on.terminal_error);
    connection.on("disconnect", on.disconnect);
    return () => {
      typed.dispose();
      resized.dispose();
      connection.off("terminal_created", on.terminal_created);
      connection.off("terminal_output", on.terminal_output);
      connection.off("terminal_closed", on.terminal_closed);
      connection.off("terminal_error", on.terminal_error);
      connection.off("disconnect", on.disconnect);
      apply({ type: "disconnected" });
    };
  }, [connection]);

  const close = useCallback(() => {
    if (connection && current.current.kind === "open") {
      connection.emit("close_terminal", { terminal_id: current.current.terminalId });
    }
  }, [connection]);

  const create = useCallback(() => {
    const terminal = screen.current?.terminal;
    if (!connection || !terminal) return;
    close();
    terminal.reset();
    const event = { type: "requested", requestId: `${number}-${performance.now()}` } as const;
    current.current = next(current.current, event);
    dispatch(event);
    connection.emit("create_terminal", { cols: terminal.cols, rows: terminal.rows, request_id: event.requestId });
  }, [close, connection, number]);

  const resize = useCallback(() => {
    const shown = screen.current;
    if (!shown) return;
    refit(shown.terminal, shown.fit);
    if (connection && current.current.kind === "open") {
      const { cols, rows } = shown.terminal;
      connection.emit("resize", { terminal_id: current.current.terminalId, cols, rows });
    }
    shown.terminal.focus();
  }, [connection]);

  const title = `Terminal ${number}`;
  return (
    <section className="pane" aria-label={title} data-testid={`pane-${number}`} data-state={pane.kind}>
      <header className="pane-bar">
        <h2>{title}</h2>
        <p className={`badge badge-${pane.kind}`} role="status" data-testid={`state-${number}`} title={describe(pane)}>
          {describe(pane)}
        </p>
        <span className="size" data-testid={`size-${number}`} aria-label="columns and rows">
          {size}
        </span>
        <div className="buttons" role="group" aria-label={`${title}: actions`}>
          <button
            type="button"
            className={pane.kind === "open" ? undefined : "primary"}
            onClick={create}
            disabled={!connected || pane.kind === "opening"}
            data-testid={`new-${number}`}
            title={pane.kind === "open" ? "End the shell that runs here and start a new one" : "Start a shell"}
          >
            {pane.kind === "open" ? "Restart" : "New"}
          </button>
          <button
            type="button"
            onClick={close}
            disabled={pane.kind !== "open"}
            data-testid={`close-${number}`}
            title="End the shell"
          >
            Close
          </button>
          <button
            type="button"
            onClick={resize}
            disabled={pane.kind !== "open"}
            data-testid={`resize-${number}`}
            title="The terminal follows the window by itself. Refit sends its size to the program again."
          >
            Refit
          </button>
        </div>
      </header>
      <div className="screen" data-testid={`screen-${number}`}>
        <div className="xterm-place" ref={place} />
        {pane.kind !== "open" && (
          <div className="veil">
            <div className="veil-card">
              <p>
                {pane.kind === "empty" && "No shell is running here."}
                {pane.kind === "opening" && "Starting a shell…"}
                {pane.kind === "ended" && `This terminal has ended: ${pane.reason}.`}
              </p>
              {pane.kind !== "opening" && (
                <p className="hint">{connected ? "Press New to open a shell." : "You can open a shell when the page is connected."}</p>
              )}
            </div>
          </div>
        )}
      </div>
    </section>
  );
}
