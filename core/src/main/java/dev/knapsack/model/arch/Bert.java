package dev.knapsack.model.arch;

import dev.knapsack.kernel.Activation;
import dev.knapsack.kernel.Rope;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.Nonlinearity;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** BERT, RoBERTa, XLM-R and DistilBERT: learned positions, and MLPs without a gate. */
final class Bert extends Encoder {
  private static final String POSITIONS = "position_embd.weight";

  @Override
  int positions(Header header) {
    return header.rows(POSITIONS);
  }

  @Override
  int context(Header header) {
    return Math.min(header.context(), positions(header));
  }

  @Override
  @Nullable Rope rope(Header header, int layer, int context) {
    return null;
  }

  @Override
  Nonlinearity nonlinearity(Header header, int layer) {
    return new Nonlinearity.Ungated(Activation.GELU_ERF);
  }

  /** Cross-encoders were trained with another row for the second text; others see one text. */
  @Override
  int separator(Header header) {
    return encoding(header).scores() ? header.separator() : -1;
  }

  /**
   * The pooler, and a classifier over it. The files of some converters have the classifier alone,
   * under the pooler's name: what it would be given is not what it was trained with.
   */
  @Override
  Encoding ranking(Header header) {
    if (!header.hasTensor("cls.output.weight")) {
      throw header.wrong(
          "pooling_type",
          "asks for scores, and the file has no cls.output: the model's pooler was left out when it"
              + " was converted; convert it with pooler.dense as cls and classifier as cls.output");
    }
    return new Encoding(
        Encoding.Pooling.FIRST,
        List.of(
            new Encoding.Dense("cls", header.width(), header.width()),
            new Encoding.Apply(Activation.TANH),
            new Encoding.Dense("cls.output", header.width(), header.labels())),
        true);
  }
}
