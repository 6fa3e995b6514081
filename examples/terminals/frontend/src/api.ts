/** The requests over HTTP. A refusal is an error with the backend's own sentence. */

export interface Login {
  token: string;
  username: string;
}

/** The backend refused; `status` is 0 if it did not answer. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function register(username: string, password: string): Promise<void> {
  await ask("POST", "/api/register", { username, password });
}

export async function logIn(username: string, password: string): Promise<Login> {
  return (await ask("POST", "/api/login", { username, password })) as Login;
}

export async function logOut(token: string): Promise<void> {
  await ask("POST", "/api/logout", {}, token);
}

export async function whoAmI(token: string): Promise<string> {
  return ((await ask("GET", "/api/me", undefined, token)) as Login).username;
}

async function ask(method: string, path: string, body?: object, token?: string): Promise<unknown> {
  const headers: Record<string, string> = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers["Authorization"] = `Bearer ${token}`;
  let response: Response;
  try {
    response = await fetch(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  } catch {
    throw new Refused(0, "The server does not answer. Try again in a moment.");
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new Refused(response.status, sentence(detail(answer) ?? `the server answered with ${response.status}`));
}

function detail(answer: unknown): string | undefined {
  const detail = (answer as { detail?: unknown } | null)?.detail;
  return typeof detail === "string" ? detail : undefined;
}

/** A message of the backend as a sentence: `the name "ada" is taken` becomes `The name "ada" is taken.` */
export function sentence(text: string): string {
  // Backticks are for logs, not for a page.
  const plain = text.replace(/`([^`]*)`/g, "“$1”");
  const whole = plain.charAt(0).toUpperCase() + plain.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
