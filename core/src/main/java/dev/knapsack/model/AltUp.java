package dev.knapsack.model;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.model.TensorSpec.Role;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Alternating updates (Baykal et al., arXiv 2301.13310): a residual stream of several copies, of
 * which a layer's other blocks compute with the first alone. Before them all copies are predicted,
 * and after them all are corrected by what the first has become.
 *
 * @param copies how many there are, with the first, which is the residual stream of other blocks
 * @param part the part of this that the block is
 * @param input what a correction adds, made of the first copy, to all others; null for none
 */
public record AltUp(int width, int copies, Part part, @Nullable PerLayerInput input)
    implements Block {
  private static final String ROUTER = "altup_router.weight";
  private static final String ROUTER_NORM = "altup_router_norm.weight";
  private static final String PREDICT = "altup_predict_coef.weight";
  private static final String CORRECT = "altup_correct_coef.weight";
  private static final String SCALE = "altup_correct_scale.weight";
  private static final String SPREAD = "altup_proj.weight";
  private static final String MERGE = "altup_unembd_proj.weight";

  /** The places where a pass has a part of this. */
  public enum Part {
    /** Before the first layer: makes the copies of the embedding. */
    SPREAD,
    /** At a layer's beginning. */
    PREDICT,
    /** At a layer's end. */
    CORRECT,
    /** After the last layer: makes one of the copies. */
    MERGE
  }

  /** The weights of one of the parts. */
  sealed interface Weights extends Block.Change {
    AltUp spec();
  }

  /**
   * The weights of the first and the last part.
   *
   * @param projections a matrix for each copy but the first, one after the other
   */
  record Ends(AltUp spec, Matrix projections) implements Weights {
    Matrix projection(int copy) {
      return projections.rows((copy - 1) * spec.width, copy * spec.width);
    }
  }

  /**
   * The weights of a layer's beginning and end.
   *
   * @param coefficients of what the router says
   * @param scale factors on what the input is made of; null in a prediction
   * @param input null where there is none, and in a prediction
   */
  record Update(
      AltUp spec,
      Matrix router,
      Matrix routerNorm,
      Matrix coefficients,
      @Nullable Matrix scale,
      PerLayerInput.@Nullable Weights input)
      implements Weights {}

  /** The first part, for {@link ModelSpec#opening}; the others are made of it. */
  public static AltUp spread(int width, int copies) {
    return new AltUp(width, copies, Part.SPREAD, null);
  }

  /** Another part. */
  public AltUp with(Part other, @Nullable PerLayerInput added) {
    return new AltUp(width, copies, other, added);
  }

  /** Numbers that a token has in the copies after the first. */
  int others() {
    return (copies - 1) * width;
  }

  @Override
  public List<TensorSpec> tensors() {
    List<TensorSpec> tensors = new ArrayList<>();
    switch (part) {
      case SPREAD -> tensors.add(projections(SPREAD));
      case MERGE -> tensors.add(projections(MERGE));
      case PREDICT -> {
        tensors.add(new TensorSpec(ROUTER, Role.ROUTER, width, copies));
        tensors.add(new TensorSpec(ROUTER_NORM, Role.NORM, width));
        tensors.add(new TensorSpec(PREDICT, Role.ROUTER, copies, copies * copies));
      }
      case CORRECT -> {
        tensors.add(new TensorSpec(CORRECT, Role.ROUTER, copies, copies));
        tensors.add(new TensorSpec(SCALE, Role.NORM, width));
        if (input != null) {
          tensors.addAll(input.tensors());
        }
      }
    }
    return tensors;
  }

  private TensorSpec projections(String name) {
    return new TensorSpec(name, Role.MATRIX, width, width, copies - 1);
  }

  @Override
  public Weights weights(LayerTensors tensors, @Nullable ExpertBank experts) {
    return switch (part) {
      case SPREAD -> new Ends(this, tensors.get(SPREAD));
      case MERGE -> new Ends(this, tensors.get(MERGE));
      case PREDICT ->
          new Update(
              this,
              tensors.get(ROUTER),
              tensors.get(ROUTER_NORM),
              tensors.get(PREDICT),
              null,
              null);
      case CORRECT ->
          new Update(
              this,
              tensors.get(ROUTER),
              tensors.get(ROUTER_NORM),
              tensors.get(CORRECT),
              tensors.get(SCALE),
              input == null ? null : input.weights(tensors, experts));
    };
  }

  @Override
  public int widest() {
    return Math.max(width, input == null ? 0 : input.widest());
  }

  @Override
  public Map<Slot, Integer> lasting() {
    return part == Part.SPREAD ? Map.of(Slot.COPIES, others(), Slot.PREDICTED, width) : Map.of();
  }

  @Override
  public Map<Slot, Long> activations(int tokens, KvLayout cache, int layer) {
    Map<Slot, Long> numbers = new EnumMap<>(Slot.class);
    switch (part) {
      case SPREAD, MERGE -> {}
      case PREDICT -> {
        numbers.put(Slot.ROUTER, (long) tokens * copies);
        numbers.put(Slot.COEFFICIENTS, (long) tokens * copies * copies);
      }
      case CORRECT -> {
        numbers.put(Slot.ROUTER, (long) tokens * copies);
        numbers.put(Slot.COEFFICIENTS, (long) tokens * copies);
        if (input != null) {
          numbers.putAll(input.activations(tokens, cache, layer));
        }
      }
    }
    return numbers;
  }
}
