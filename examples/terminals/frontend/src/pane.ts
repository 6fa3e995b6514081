/** The state of one of the two panes, and its transitions. Nothing here touches the page. */

export type Pane =
  | { kind: "empty" }
  | { kind: "opening"; requestId: string }
  | { kind: "open"; terminalId: string }
  | { kind: "ended"; reason: string };

export type PaneEvent =
  | { type: "requested"; requestId: string }
  | { type: "created"; terminalId: string; requestId: string | null }
  | { type: "closed"; terminalId: string; reason: string }
  | { type: "failed"; terminalId: string | null; requestId: string | null; message: string }
  | { type: "disconnected" };

/** The state after an event; the same object where the event belongs to another pane. */
export function next(pane: Pane, event: PaneEvent): Pane {
  switch (event.type) {
    case "requested":
      return { kind: "opening", requestId: event.requestId };
    case "created":
      return pane.kind === "opening" && pane.requestId === event.requestId
        ? { kind: "open", terminalId: event.terminalId }
        : pane;
    case "closed":
      return pane.kind === "open" && pane.terminalId === event.terminalId
        ? { kind: "ended", reason: event.reason }
        : pane;
    case "failed":
      return pane.kind === "opening" && pane.requestId === event.requestId
        ? { kind: "ended", reason: event.message }
        : pane;
    case "disconnected":
      return pane.kind === "open" || pane.kind === "opening" ? { kind: "ended", reason: "the connection was lost" } : pane;
  }
}

/** In words, for the pane's title. */
export function describe(pane: Pane): string {
  switch (pane.kind) {
    case "empty":
      return "no terminal";
    case "opening":
      return "opening";
    case "open":
      return "open";
    case "ended":
      return pane.reason;
  }
}
