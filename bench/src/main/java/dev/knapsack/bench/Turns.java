package dev.knapsack.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * Eight turns over one document, each a completion of all that was said before: the time to the
 * first token of each turn with prefixes and without, of the turns after an edit of the third, of
 * the last turn once the server has been started again, and once other prompts have driven the
 * document out of memory.
 *
 * <p>Usage: {@code bench/measure Turns MODEL BUDGET [ARGUMENT OF serve...]}, with {@code
 * -Ddocument=4096} (tokens, about) in {@code KNAPSACK_JAVA_OPTS} for others. What the model has
 * said in earlier turns is a text of ours, so that all runs read the same. Prints a Markdown table.
 */
public final class Turns {
  private static final int TURNS = 8;
  private static final int ANSWER = 8;
  private static final List<String> WORDS =
      List.of("the", "key", "ring", "blue", "red", "lamp", "kitchen", "library", "garden", "found");

  private final int document = Integer.getInteger("document", 4096);
  private final List<String> arguments;

  private Turns(List<String> arguments) {
    this.arguments = arguments;
  }

  public static void main(String[] args) throws Exception {
    List<String> arguments = new ArrayList<>(List.of(args[0], "--memory", args[1]));
    arguments.addAll(List.of(args).subList(2, args.length));
    Path folder = Files.createTempDirectory("knapsack-turns");
    try {
      new Turns(arguments).run(folder);
    } finally {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  private void run(Path folder) throws Exception {
    System.out.println(
        "| turn | prompt, tokens | without prefixes, s | with, s | tokens skipped | third turn"
            + " edited, s | tokens skipped |");
    System.out.println("|---|---|---|---|---|---|---|");
    List<ServerProcess.First> without = new ArrayList<>();
    try (ServerProcess server = start("--no-prefix-cache")) {
      for (int turn = 1; turn <= TURNS; turn++) {
        without.add(server.complete(prompt(0, turn, false), ANSWER));
      }
    }
    String[] kept = {"--cache-dir", folder.toString(), "--cache-disk", "8GiB"};
    ServerProcess.First evicted;
    int others = 0;
    try (ServerProcess server = start(kept)) {
      List<ServerProcess.First> with = new ArrayList<>();
      for (int turn = 1; turn <= TURNS; turn++) {
        with.add(server.complete(prompt(0, turn, false), ANSWER));
      }
      for (int turn = 1; turn <= TURNS; turn++) {
        ServerProcess.First plain = without.get(turn - 1);
        ServerProcess.First found = with.get(turn - 1);
        System.out.printf(
            Locale.ROOT,
            "| %d | %,d | %.2f | %.2f | %,d |",
            turn,
            plain.prompt(),
            plain.seconds(),
            found.seconds(),
            found.cached());
        if (turn < 3) {
          System.out.println(" | |");
        } else {
          ServerProcess.First edited = server.complete(prompt(0, turn, true), ANSWER);
          System.out.printf(Locale.ROOT, " %.2f | %,d |%n", edited.seconds(), edited.cached());
        }
      }
      // Other documents, as many as memory has room for and one more.
      long most = 0;
      for (long held = held(server); held > most; held = held(server)) {
        most = held;
        server.complete(prompt(++others, 1, false), 1);
      }
      evicted = server.complete(prompt(0, TURNS, false), ANSWER);
      server.end();
    }
    System.out.printf(
        Locale.ROOT,
        "%nlast turn after %d other documents: %.2f s, %,d tokens skipped%n",
        others,
        evicted.seconds(),
        evicted.cached());
    try (ServerProcess server = start(kept)) {
      ServerProcess.First again = server.complete(prompt(0, TURNS, false), ANSWER);
      System.out.printf(
          Locale.ROOT,
          "last turn after SIGTERM and a new start: %.2f s, %,d tokens skipped%n",
          again.seconds(),
          again.cached());
    }
  }

  private ServerProcess start(String... more) throws IOException {
    List<String> all = new ArrayList<>(arguments);
    all.addAll(List.of(more));
    return ServerProcess.start(null, all);
  }

  /** The bytes of beginnings in memory. */
  private static long held(ServerProcess server) throws IOException, InterruptedException {
    return server
        .get("/metrics")
        .lines()
        .filter(line -> line.startsWith("knapsack_prefix_bytes"))
        .mapToLong(line -> (long) Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  /** A document, and what was said of it: the last line is what is asked now. */
  private String prompt(int number, int turns, boolean edited) {
    StringBuilder text = new StringBuilder();
    words(text, new SplittableRandom(number), document);
    for (int turn = 1; turn <= turns; turn++) {
      boolean changed = edited && turn == 3;
      text.append("\nQuestion: ");
      words(text, new SplittableRandom(1000L * turn + (changed ? 1 : 0)), 24);
      text.append("\nAnswer: ");
      if (turn < turns) {
        words(text, new SplittableRandom(2000L * turn), 16);
      }
    }
    return text.toString();
  }

  private static void words(StringBuilder to, SplittableRandom random, int count) {
    for (int i = 0; i < count; i++) {
      to.append(WORDS.get(random.nextInt(WORDS.size()))).append(' ');
    }
  }
}
