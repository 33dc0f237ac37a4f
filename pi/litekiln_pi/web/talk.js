// The page's requests to the server.

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server's answer. A refusal becomes an error with the server's reason. */
export async function ask(path, options = {}, seconds = 30) {
  const answer = await fetch(path, { cache: "no-store", ...options, signal: AbortSignal.timeout(seconds * 1000) });
  if (answer.ok) return answer;
  let message = `the server says ${answer.status}`;
  try {
    message = (await answer.json()).error || message;
  } catch {
    // without a reason, the status must do
  }
  throw new Refusal(answer.status, message);
}

export const post = (path, body, type) => ask(path, { method: "POST", body, headers: type ? { "Content-Type": type } : {} }, 90);
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
