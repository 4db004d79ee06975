package dev.knapsack.bench;

import com.google.gson.JsonObject;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Knapsack beside other engines on the same file, one after the other, in turns, so that all see
 * the same minutes.
 *
 * <p>Usage: {@code bench/measure Peers MODEL [ROUNDS]}, after {@code npm install --ignore-scripts}
 * in {@code bench/peers}. Prints a Markdown table of medians and their ratio to the first engine's.
 */
public final class Peers {
  private static final String THREADS = "2";
  private static final String PROMPT = "512";
  private static final String DECODE = "64";

  private Peers() {}

  public static void main(String[] args) throws Exception {
    String model = args[0];
    int rounds = args.length > 1 ? Integer.parseInt(args[1]) : 3;
    Map<String, List<String>> engines = new LinkedHashMap<>();
    engines.put(
        "llama.cpp (npm)",
        List.of("node", "bench/peers/llama-cpp-node.mjs", model, THREADS, PROMPT, DECODE, "1"));
    engines.put(
        "llama.cpp (JNI)",
        List.of("bench/peers/llama-jni.sh", model, THREADS, PROMPT, DECODE, "1"));
    for (String kernels : List.of("x86", "vector")) {
      engines.put(
          "Knapsack, `%s`".formatted(kernels),
          List.of(
              "./knapsack",
              "bench",
              model,
              "--kernels",
              kernels,
              "--threads",
              THREADS,
              "--prompt",
              PROMPT,
              "--decode",
              DECODE,
              "--depths",
              "0," + PROMPT,
              "--rounds",
              "1",
              "--json"));
    }
    Map<String, double[][]> results = new LinkedHashMap<>();
    for (int round = 0; round < rounds; round++) {
      for (Map.Entry<String, List<String>> engine : engines.entrySet()) {
        // Other engines log a page of their own at each start.
        JsonObject result = JsonCommand.run(engine.getValue(), ProcessBuilder.Redirect.DISCARD);
        if (result.has("depths")) {
          // Others write after the prompt that they have read.
          result.add(
              "decode", result.getAsJsonArray("depths").get(1).getAsJsonObject().get("decode"));
        }
        double[][] columns = results.computeIfAbsent(engine.getKey(), _ -> new double[4][rounds]);
        columns[0][round] = JsonCommand.number(result, "prefill");
        columns[1][round] = JsonCommand.number(result, "decode");
        columns[2][round] = JsonCommand.number(result, "loadSeconds");
        columns[3][round] = JsonCommand.number(result, "peakResidentBytes") / (1 << 20);
      }
    }
    System.out.println(
        "| engine | prefill, tokens/s | ratio | decode, tokens/s | ratio | load, s | peak resident,"
            + " MiB |");
    System.out.println("|---|---|---|---|---|---|---|");
    double[][] base = results.values().iterator().next();
    results.forEach((name, r) ->
        System.out.printf(
            Locale.ROOT,
            "| %s | %.1f | %.2f | %.2f | %.2f | %.2f | %.0f |%n",
            name,
            Medians.of(r[0]),
            Medians.of(r[0]) / Medians.of(base[0]),
            Medians.of(r[1]),
            Medians.of(r[1]) / Medians.of(base[1]),
            Medians.of(r[2]),
            Medians.of(r[3])));
  }
}
