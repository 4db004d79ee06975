// Measures llama.cpp (prebuilt, from npm's node-llama-cpp) on a GGUF file.
// Usage: npm install --ignore-scripts && node llama-cpp-node.mjs MODEL.gguf [threads] [prompt tokens] [decode tokens] [rounds]
// Prints one JSON line: medians of prefill and decode in tokens/s, seconds to load, peak resident set in bytes.
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [file, threads = "2", promptTokens = "512", decodeTokens = "64", rounds = "3"] = process.argv.slice(2);
const median = (xs) => xs.sort((a, b) => a - b)[Math.floor(xs.length / 2)];
const seconds = () => Number(process.hrtime.bigint()) / 1e9;

const started = seconds();
const llama = await getLlama({
  build: "never", gpu: false, maxThreads: Number(threads), skipDownload: true, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file, useMmap: true});
const context = await model.createContext({
  contextSize: Number(promptTokens) + Number(decodeTokens) + 8,
  batchSize: 512, threads: {ideal: Number(threads), min: Number(threads)}, flashAttention: true});
const sequence = context.getSequence();
const loaded = seconds() - started;

const tokens = Array.from({length: Number(promptTokens)}, (_, i) => 300 + (i * 7919) % 200);
const prefill = [], decode = [];
for (let round = 0; round < Number(rounds); round++) {
  await sequence.clearHistory();
  let from = seconds();
  await sequence.evaluateWithoutGeneratingNewTokens(tokens);
  prefill.push(tokens.length / (seconds() - from));
  let count = 0;
  for await (const token of sequence.evaluate([tokens[0]], {temperature: 0, yieldEogToken: true})) {
    // The first token pays for the prompt's last one; the clock starts after it.
    if (count++ === 0) from = seconds();
    if (count > Number(decodeTokens)) break;
  }
  decode.push((count - 1) / (seconds() - from));
}
const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) * 1024;
console.log(JSON.stringify({
  engine: "llama.cpp (node-llama-cpp 3.22.1)", file, threads: Number(threads),
  prefill: median(prefill), decode: median(decode), loadSeconds: loaded, peakResidentBytes: peak}));
process.exit(0);
