package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.model.TensorSpec.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Embeddings of where a token stands, which are added to its own: a learned row for each position,
 * and one for each part of a text (Devlin et al., "BERT", 2019, 3).
 *
 * @param positions rows for positions; 0 for none
 * @param types rows for parts of a text; 0 for none
 * @param separator the token that ends the first part, so that tokens after the first of these have
 *     row 1; -1 where all are of one part, and have row 0
 */
public record PlaceEmbeddings(int width, int positions, int types, int separator) implements Block {
  static final String POSITIONS = "position_embd.weight";
  static final String TYPES = "token_types.weight";

  /** Nothing but the tables, of which rows are read by name. */
  public record Weights(PlaceEmbeddings spec) implements Block.Change {}

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    if (positions > 0) {
      tensors.add(new TensorSpec(POSITIONS, Role.EMBEDDING, width, positions));
    }
    if (types > 0) {
      tensors.add(new TensorSpec(TYPES, Role.EMBEDDING, width, types));
    }
    return tensors;
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return new Weights(this);
  }

  @Override
  public int widest() {
    return width;
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    return Map.of();
  }

  /** The number of the part that each token is in: {@code rows} receives them, run after run. */
  void types(List<Run> runs, int[] rows) {
    int row = 0;
    for (Run run : runs) {
      int type = 0;
      for (int i = run.from(); i < run.to(); i++) {
        rows[row++] = type;
        if (run.tokens()[i] == separator && types > 1) {
          type = 1;
        }
      }
    }
  }
}
