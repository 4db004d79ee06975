package dev.knapsack.bench;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.knapsack.Embedder;
import dev.knapsack.EmbeddingRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.memory.Budget;
import dev.knapsack.os.Footprint;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * Vectors of texts: beside LangChain4j's in-process model, in a small memory cgroup, and for long.
 *
 * <p>Usage, of all-MiniLM-L6-v2:
 *
 * <ul>
 *   <li>{@code bench/measure Embeddings MODEL [ROUNDS]}: texts a second of both, in turns, and
 *       their peak resident sets; medians of five rounds, of 1,000 texts each or {@code -Dtexts}
 *   <li>{@code bench/measure Embeddings MODEL cgroup [BYTES]}: 4,138 texts of 400 tokens in a
 *       memory cgroup with that limit, by default 160 MiB; for root
 *   <li>{@code bench/measure Embeddings MODEL calls [COUNT]}: short texts, each in a call of its
 *       own, by default a million; the resident set after each twentieth of them
 * </ul>
 *
 * <p>Ours is a program of its own with the JVM options of {@code -Djvm}, separated by commas, by
 * default {@code -XX:+UseSerialGC,-Xmx20m,-XX:TrimNativeHeapInterval=2000}.
 */
public final class Embeddings {
  private static final double MIB = 1 << 20;

  /** Words that are one piece each. */
  private static final List<String> WORDS =
      List.of(
          "the", "key", "ring", "blue", "red", "lamp", "kitchen", "library", "garden", "put",
          "found", "left", "under", "morning", "river", "city", "train", "letter", "small", "old",
          "house", "window", "water", "music", "paper", "summer", "north", "child", "market",
          "field", "story", "teacher", "doctor", "road", "winter", "bread", "stone", "light");

  private Embeddings() {}

  public static void main(String[] args) throws Exception {
    Path model = Path.of(args[0]);
    String mode = args.length > 1 ? args[1] : "5";
    switch (mode) {
      case "answer" -> answer(model, Budget.of(args[2]));
      case "cgroup" -> inCgroup(model, args.length > 2 ? args[2] : "160MiB");
      case "calls" -> calls(model, args.length > 2 ? Integer.parseInt(args[2]) : 1_000_000);
      default -> besidePeers(model, Integer.parseInt(mode));
    }
  }

  /**
   * Makes vectors of the lines of a file, again for each file that is named on standard input, and
   * prints one line of JSON for each; a file {@code calls} has its lines in calls of their own.
   */
  private static void answer(Path model, Budget budget) throws IOException {
    BufferedReader files =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (Embedder embedder = Knapsack.embedder(model.toString(), budget)) {
      for (String file = files.readLine(); file != null; file = files.readLine()) {
        double cpu = cpu();
        long begin = System.nanoTime();
        int[] counts = new int[2];
        try (Stream<String> lines = Files.lines(Path.of(file))) {
          if (file.endsWith("calls")) {
            lines.forEach(line -> {
              counts[0]++;
              counts[1] += embedder.embed(EmbeddingRequest.of(line)).getFirst().tokens();
            });
          } else {
            embedder.embed(
                EmbeddingRequest.of(List.of()),
                lines.iterator(),
                vector -> {
                  counts[0]++;
                  counts[1] += vector.tokens();
                });
          }
        }
        double seconds = (System.nanoTime() - begin) / 1e9;
        Footprint footprint = Footprint.now().orElseThrow();
        System.out.printf(
            Locale.ROOT,
            "{\"vectors\":%d,\"tokens\":%d,\"seconds\":%.4f,\"cpuSeconds\":%.4f,\"residentBytes\":%d,\"peakResidentBytes\":%d}%n",
            counts[0],
            counts[1],
            seconds,
            cpu() - cpu,
            footprint.resident(),
            footprint.peak());
      }
    }
  }

  /** Seconds of all threads, so far. */
  private static double cpu() {
    return ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos() / 1e9;
  }

  /** A program that answers as {@link #answer} does. */
  private record Answering(Process process, BufferedReader out, PrintWriter in)
      implements AutoCloseable {
    static Answering start(List<String> command) throws IOException {
      Process process =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      return new Answering(
          process,
          process.inputReader(StandardCharsets.UTF_8),
          new PrintWriter(process.outputWriter(StandardCharsets.UTF_8), true));
    }

    JsonObject ask(Path file) throws IOException {
      in.println(file);
      String line = out.readLine();
      if (line == null) {
        throw new IOException("The program ended before it answered: " + process.info());
      }
      return JsonParser.parseString(line).getAsJsonObject();
    }

    @Override
    public void close() {
      in.close();
      process.onExit().join();
    }
  }

  private static List<String> ours(Path model, String budget) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    String options = "-XX:+UseSerialGC,-Xmx20m,-XX:TrimNativeHeapInterval=2000";
    command.addAll(List.of(System.getProperty("jvm", options).split(",")));
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            Embeddings.class.getName(),
            model.toString(),
            "answer",
            budget));
    return command;
  }

  private static void besidePeers(Path model, int rounds) throws Exception {
    Path folder = Files.createTempDirectory("embeddings");
    System.out.println(
        "| texts | engine | a second | ratio | CPU milliseconds a text | ratio | peak resident,"
            + " MiB | ratio |");
    System.out.println("|---|---|---|---|---|---|---|---|");
    SplittableRandom random = new SplittableRandom(1);
    int count = Integer.getInteger("texts", 1000);
    Path few = file(folder, "short", Stream.generate(() -> sentence(random)).limit(count).toList());
    compare(model, rounds, few, "%,d short sentences".formatted(count), "stock");
    Path many =
        file(folder, "long", Stream.generate(() -> words(random, 254)).limit(count).toList());
    compare(model, rounds, many, "%,d of 256 tokens".formatted(count), "whole");
  }

  private static void compare(Path model, int rounds, Path file, String texts, String kind)
      throws Exception {
    String peer = "bench/peers/langchain4j-minilm.sh";
    Map<String, List<String>> commands = new LinkedHashMap<>();
    commands.put("LangChain4j, ONNX Runtime", List.of(peer, "f32", kind));
    commands.put("the same, `-q`", List.of(peer, "q", kind));
    commands.put("Knapsack", ours(model, "160MiB"));
    Map<String, Answering> engines = new LinkedHashMap<>();
    for (Map.Entry<String, List<String>> command : commands.entrySet()) {
      Answering engine = Answering.start(command.getValue());
      engine.ask(file); // the compiler's time does not count
      engines.put(command.getKey(), engine);
    }
    Map<String, double[][]> results = new LinkedHashMap<>();
    for (int round = 0; round < rounds; round++) {
      for (Map.Entry<String, Answering> engine : engines.entrySet()) {
        JsonObject answer = engine.getValue().ask(file);
        double[][] columns = results.computeIfAbsent(engine.getKey(), _ -> new double[3][rounds]);
        double vectors = JsonCommand.number(answer, "vectors");
        columns[0][round] = vectors / JsonCommand.number(answer, "seconds");
        columns[1][round] = 1e3 * JsonCommand.number(answer, "cpuSeconds") / vectors;
        columns[2][round] = JsonCommand.number(answer, "peakResidentBytes") / MIB;
      }
    }
    for (Answering engine : engines.values()) {
      engine.close();
    }
    double[][] base = results.values().iterator().next();
    results.forEach((name, r) ->
        System.out.printf(
            Locale.ROOT,
            "| %s | %s | %.1f | %.2f | %.2f | %.2f | %.0f | %.2f |%n",
            texts,
            name,
            Medians.of(r[0]),
            Medians.of(r[0]) / Medians.of(base[0]),
            Medians.of(r[1]),
            Medians.of(r[1]) / Medians.of(base[1]),
            Medians.of(r[2]),
            Medians.of(r[2]) / Medians.of(base[2])));
  }

  private static void inCgroup(Path model, String limit) throws Exception {
    SplittableRandom random = new SplittableRandom(1);
    Path folder = Files.createTempDirectory("embeddings");
    Path file =
        file(folder, "texts", Stream.generate(() -> words(random, 398)).limit(4138).toList());
    try (MemoryCgroup cgroup = MemoryCgroup.create(Budget.parseSize(limit))) {
      try (Answering engine = Answering.start(cgroup.inside(ours(model, limit)))) {
        System.out.println(engine.ask(file));
      }
      System.out.printf("kills: %d%n", cgroup.kills());
    }
  }

  private static void calls(Path model, int count) throws Exception {
    SplittableRandom random = new SplittableRandom(1);
    Path folder = Files.createTempDirectory("embeddings");
    long part = count / 20;
    Path file = file(folder, "calls", Stream.generate(() -> sentence(random)).limit(part).toList());
    try (Answering engine = Answering.start(ours(model, "160MiB"))) {
      for (int i = 1; i <= 20; i++) {
        JsonObject answer = engine.ask(file);
        System.out.printf(
            Locale.ROOT,
            "%,d calls: %.1f MiB resident, %.1f at most; %.0f a second%n",
            i * part,
            JsonCommand.number(answer, "residentBytes") / MIB,
            JsonCommand.number(answer, "peakResidentBytes") / MIB,
            part / JsonCommand.number(answer, "seconds"));
      }
    }
  }

  private static Path file(Path folder, String name, List<String> texts) throws IOException {
    folder.toFile().deleteOnExit();
    Path file = Files.write(folder.resolve(name), texts);
    file.toFile().deleteOnExit();
    return file;
  }

  /** Of eight to fifteen words. */
  private static String sentence(SplittableRandom random) {
    return words(random, random.nextInt(8, 16)) + ".";
  }

  private static String words(SplittableRandom random, int count) {
    return String.join(
        " ", Stream.generate(() -> WORDS.get(random.nextInt(WORDS.size()))).limit(count).toList());
  }
}
