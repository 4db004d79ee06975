package dev.knapsack.cli;

import dev.knapsack.file.ModelFile;
import dev.knapsack.text.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code knapsack tokenize}: the token ids of a text. */
@Command(
    name = "tokenize",
    sortOptions = false,
    description = "Shows the tokens of a text (from -p or standard input), as the model sees it.",
    footer = {
      "",
      "  knapsack tokenize model.gguf -p 'Once upon a time'",
      "  knapsack tokenize model.gguf --json < text.txt > ids.json",
    })
final class TokenizeCommand implements Callable<Integer> {
  private final Environment environment;
  @Mixin private final ModelArgument model;

  @Option(
      names = {"-p", "--prompt"},
      paramLabel = "TEXT",
      description = "The text; without it, standard input.")
  private @Nullable String prompt;

  @Option(names = "--plain", description = "Read special tokens in the text as plain text.")
  private boolean plain;

  @Option(
      names = "--no-bos",
      description = "Do not add the tokens that the model wants at the ends.")
  private boolean noBos;

  @Option(
      names = "--json",
      description = "Print the ids alone, as a JSON array (what 'logits' reads).")
  private boolean json;

  TokenizeCommand(Environment environment) {
    this.environment = environment;
    this.model = new ModelArgument(environment);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    StandardStreams streams = environment.streams();
    String text = prompt != null ? prompt : streams.text();
    try (ModelFile file = ModelFile.open(model.path())) {
      Tokenizer tokenizer = Tokenizer.of(file);
      int[] ids = tokenizer.encode(text, !noBos, !plain);
      if (json) {
        streams.out().println(Arrays.toString(ids));
      } else {
        for (int id : ids) {
          streams
              .out()
              .printf(
                  "%8d  %s%n",
                  id, visible(new String(tokenizer.bytes(id, true), StandardCharsets.UTF_8)));
        }
        streams.err().printf("%d tokens%n", ids.length);
      }
    }
    return 0;
  }

  private static String visible(String piece) {
    return '\'' + piece.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '\'';
  }
}
