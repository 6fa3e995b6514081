import { expect, test } from "vitest";

import { sentence } from "./api";
import { describe as words, next, type Pane } from "./pane";
import { parse } from "./session";

const opening: Pane = { kind: "opening", requestId: "r1" };
const open: Pane = { kind: "open", terminalId: "t1" };

test("only the answer to its own request opens a pane", () => {
  expect(next(opening, { type: "created", terminalId: "t9", requestId: "r2" })).toBe(opening);
  expect(next(opening, { type: "created", terminalId: "t1", requestId: "r1" })).toEqual(open);
});

test("only the end of its own terminal ends a pane", () => {
  expect(next(open, { type: "closed", terminalId: "t2", reason: "closed" })).toBe(open);
  expect(next(open, { type: "closed", terminalId: "t1", reason: "closed" })).toEqual({ kind: "ended", reason: "closed" });
});

test("a refusal ends the pane that sent the request, with the backend's message", () => {
  const refused = { type: "failed", terminalId: null, requestId: "r1", message: "you have 4 terminals open" } as const;
  expect(words(next(opening, refused))).toBe("you have 4 terminals open");
  expect(next(open, refused)).toBe(open);
});

test("a lost connection ends an open pane and does not change an empty one", () => {
  expect(words(next(open, { type: "disconnected" }))).toBe("the connection was lost");
  const empty: Pane = { kind: "empty" };
  expect(next(empty, { type: "disconnected" })).toBe(empty);
});

test("only a valid session is restored from storage", () => {
  expect(parse('{"token":"t","username":"alice"}')).toEqual({ token: "t", username: "alice" });
  for (const text of [null, "", "{", "null", "7", '{"token":1,"username":"alice"}']) expect(parse(text)).toBeNull();
});

test("an error is a sentence without backticks", () => {
  expect(sentence("the name `alice` is taken")).toBe("The name “alice” is taken.");
});
