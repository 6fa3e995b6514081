import { expect, test } from "vitest";

import { sentence } from "./api";
import { describe as words, next, type Pane } from "./pane";
import { parse } from "./session";

const opening: Pane = { kind: "opening", requestId: "r1" };
const open: Pane = { kind: "open", terminalId: "t1" };

test("a pane opens by the answer to its own request alone", () => {
  expect(next(opening, { type: "created", terminalId: "t9", requestId: "r2" })).toBe(opening);
  expect(next(opening, { type: "created", terminalId: "t1", requestId: "r1" })).toEqual(open);
});

test("a pane ends with its own terminal alone", () => {
  expect(next(open, { type: "closed", terminalId: "t2", reason: "closed" })).toBe(open);
  expect(next(open, { type: "closed", terminalId: "t1", reason: "closed" })).toEqual({ kind: "ended", reason: "closed" });
});

test("a refusal ends the pane that asked, in the backend's words", () => {
  const refused = { type: "failed", terminalId: null, requestId: "r1", message: "you have 4 terminals open" } as const;
  expect(words(next(opening, refused))).toBe("you have 4 terminals open");
  expect(next(open, refused)).toBe(open);
});

test("a lost connection ends what was open, and leaves alone what was not", () => {
  expect(words(next(open, { type: "disconnected" }))).toBe("the connection was lost");
  const empty: Pane = { kind: "empty" };
  expect(next(empty, { type: "disconnected" })).toBe(empty);
});

test("what is remembered is a session, or nothing", () => {
  expect(parse('{"token":"t","username":"alice"}')).toEqual({ token: "t", username: "alice" });
  for (const text of [null, "", "{", "null", "7", '{"token":1,"username":"alice"}']) expect(parse(text)).toBeNull();
});

test("an error is a sentence", () => {
  expect(sentence("the name `alice` is taken")).toBe("The name `alice` is taken.");
});
