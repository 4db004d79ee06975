// Answers a file of completions with llama.cpp (prebuilt, from npm's node-llama-cpp), so many at once, each in a sequence of one
// context, which batches them. A sequence keeps what it has read of the beginning of its next prompt.
// Usage: node llama-cpp-load.mjs MODEL.gguf BODIES.jsonl [at once] [threads] [context of a sequence]
// Prints a row as bench/measure ServeLoad does.
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [file, bodies, atOnce = "16", threads = "2", size = "1024"] = process.argv.slice(2);
const requests = readFileSync(bodies, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const seconds = () => Number(process.hrtime.bigint()) / 1e9;
const percentiles = (xs, scale) => {
  xs.sort((a, b) => a - b);
  return [0.5, 0.95, 0.99].map((p) =>
    (scale * (xs[Math.min(xs.length - 1, Math.floor(xs.length * p))] ?? NaN)).toPrecision(3)).join(", ");
};

const llama = await getLlama({
  build: "never", gpu: false, maxThreads: Number(threads), skipDownload: true, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file, useMmap: true});
const context = await model.createContext({
  contextSize: Number(size), sequences: Number(atOnce), batchSize: 512,
  threads: {ideal: Number(threads), min: Number(threads)}, flashAttention: true});

const first = [], between = [];
let written = 0, next = 0;
const begin = seconds();
await Promise.all(Array.from({length: Number(atOnce)}, async () => {
  const sequence = context.getSequence();
  while (next < requests.length) {
    const request = requests[next++];
    const tokens = model.tokenize(request.prompt);
    const asked = seconds();
    await sequence.adaptStateToTokens(tokens.slice(0, -1), false);
    const rest = tokens.slice(sequence.nextTokenIndex);
    let count = 0, last = asked;
    for await (const token of sequence.evaluate(rest, {temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05, yieldEogToken: true})) {
      const now = seconds();
      (count++ === 0 ? first : between).push(now - last);
      last = now;
      if (count >= request.max_tokens) break;
    }
    written += count;
  }
}));
const took = seconds() - begin;
console.log(`| llama.cpp, ${atOnce} | ${requests.length} | ${(written / took).toFixed(1)} | ${percentiles(first, 1)} | ${percentiles(between, 1000)} |`);
process.exit(0);
