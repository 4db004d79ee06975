// What each client is asked, and what came of it.
import process from 'node:process';

const results = [];

/** Runs one check, which fails by throwing. */
export async function check(name, run) {
  try {
    await run();
    results.push([name, 'ok']);
  } catch (problem) {
    results.push([name, String(problem?.stack ?? problem)]);
  }
}

/** Prints a table of all checks, and has the process fail if one has failed. */
export function report(client) {
  console.log(client);
  for (const [name, result] of results) {
    console.log(`  ${name.padEnd(40)} ${result}`);
  }
  process.exitCode = results.every(([, result]) => result === 'ok') ? 0 : 1;
}

/**
 * The server: its address, a key without limits, and one of 60 requests a minute; and the address
 * of one that answers with thoughts and calls, whatever it is asked.
 */
export const server = {
  url: process.env.KNAPSACK_URL,
  key: process.env.KNAPSACK_KEY,
  limited: process.env.KNAPSACK_LIMITED_KEY,
  rehearsed: process.env.KNAPSACK_REHEARSED_URL,
};

export const question = 'Dan put the blue ring in the library. Where is the blue ring?';
export const answer = 'The blue ring is in the library.';
