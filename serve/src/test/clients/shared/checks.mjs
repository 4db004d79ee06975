// What all clients are asked against: the server's address, keys and model, and a table of checks.
export const server = process.env.KNAPSACK_URL;
export const key = process.env.KNAPSACK_KEY;
/** A key that may have one answer at once. */
export const singleKey = process.env.KNAPSACK_SINGLE_KEY;
/** A key of 60 requests a minute. */
export const limitedKey = process.env.KNAPSACK_LIMITED_KEY;
/** A server that answers with thoughts and calls, whatever it is asked. */
export const rehearsedServer = process.env.KNAPSACK_REHEARSED_URL;
/** A server whose model calls tools where it must. */
export const callingServer = process.env.KNAPSACK_CALLING_URL;
/** Tokens that end an answer: forbidden, it goes on. */
export const endless = { logit_bias: { [process.env.KNAPSACK_END]: -100 } };
export const model = 'notes';
/** An embedding model beside it. */
export const embedder = 'small';

/** The cosine of the angle between two vectors. */
export function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, _, i) => sum + x[i] * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
export const question = 'Dan put the blue ring in the library. Where is the blue ring?';
export const answer = 'The blue ring is in the library.';

const rows = [];

export function equal(actual, expected, what) {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`${what}: expected ${e}, got ${a}`);
}

export function truthy(value, what) {
  if (!value) throw new Error(`${what}: is ${JSON.stringify(value)}`);
}

/** What is thrown by work that must throw. */
export async function thrown(work) {
  try {
    await work();
  } catch (e) {
    return e;
  }
  throw new Error('nothing was thrown');
}

export async function check(name, work) {
  const limit = AbortSignal.timeout(60_000);
  try {
    await Promise.race([
      work(),
      new Promise((_, reject) =>
        limit.addEventListener('abort', () => reject(new Error('took more than a minute')))),
    ]);
    rows.push([name, 'ok', '']);
  } catch (e) {
    rows.push([name, 'FAILED', `${e.name}: ${e.message}`.slice(0, 500)]);
  }
}

/** The requests that the server answers now. */
export async function slots() {
  const reply = await fetch(`${server}/slots`, { headers: { authorization: `Bearer ${key}` } });
  return reply.json();
}

/** Waits until nothing is answered any more. */
export async function idle() {
  while ((await slots()).length > 0);
}

/** Prints the table and ends the process. */
export function report(client) {
  console.log(`${client}, Node ${process.version}`);
  for (const [name, outcome, why] of rows) {
    console.log(`  ${name.padEnd(48)} ${outcome} ${why}`);
  }
  process.exit(rows.every((row) => row[1] === 'ok') && rows.length > 0 ? 0 : 1);
}
