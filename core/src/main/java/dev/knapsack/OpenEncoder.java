package dev.knapsack;

import dev.knapsack.engine.TextEncoder;
import dev.knapsack.engine.TextTokens;
import dev.knapsack.error.ModelFileException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TemplateSource;
import dev.knapsack.host.Host;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.arch.Families;
import dev.knapsack.plan.Plan;
import dev.knapsack.text.Tokenizer;
import java.nio.file.Path;
import java.util.List;

/**
 * A model that encodes, open, with its file and its tokenizer.
 *
 * @param templates of its file
 */
record OpenEncoder(
    ModelFile file, TextEncoder encoder, TextTokens tokens, List<TemplateSource> templates)
    implements AutoCloseable {
  /** Opens a model; {@code scores} says what it is to make of texts. */
  static OpenEncoder open(Path model, Host host, Options options, boolean scores) {
    ModelFile file = ModelFile.open(model);
    try (Host.Tenant tenant = host.enter(Host.Share.USUAL)) {
      check(file, scores);
      Tokenizer tokenizer = Tokenizer.of(file);
      Plan plan = Knapsack.plan(file, tokenizer, host, tenant, options);
      ModelSpec spec = Families.spec(file, plan.context());
      Encoding encoding = options.pooling.map(spec.encoding()::withPooling).orElse(spec.encoding());
      TextEncoder encoder =
          TextEncoder.open(file, spec.withEncoding(encoding), plan, host, options.engine);
      return new OpenEncoder(
          file, encoder, new TextTokens(tokenizer, options.parseSpecial), file.templates());
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  private static void check(ModelFile file, boolean scores) {
    ModelSpec spec = Families.spec(file);
    Encoding encoding = spec.encoding();
    if (encoding == null) {
      throw new ModelFileException(
          file.path(),
          spec.family() + ".pooling_type",
          "is missing: the model writes text, and makes neither vectors nor scores; it is opened as"
              + " a model to talk to");
    }
    if (encoding.scores() != scores) {
      throw new ModelFileException(
          file.path(),
          spec.family() + ".pooling_type",
          scores
              ? "says that the model makes vectors of texts, and no scores of pairs; it is an"
                  + " embedding model"
              : "says that the model makes scores of pairs, and no vectors; it is a reranker");
    }
  }

  /** Bytes and speed that were planned. */
  Plan plan() {
    return encoder.plan();
  }

  @Override
  public void close() {
    encoder.close();
    file.close();
  }
}
