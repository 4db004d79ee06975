package dev.knapsack.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A tensor of a model, as the part of the model that computes with it declares it.
 *
 * @param name the GGUF name; within its layer ({@code attn_q.weight}) if it is in one
 * @param optional whether a model may do without
 * @param fused the tensor that may stand for this one and the others that name it, with the rows of
 *     all, one after the other (of experts: in each); null where none may
 * @param shape dimensions as GGUF orders them: {@code [columns, rows]}, the first runs fastest
 * @param reads rows that a token reads, of a table
 */
public record TensorSpec(
    String name, Role role, boolean optional, @Nullable String fused, List<Long> shape, int reads) {
  /** The use of a tensor, from which follows where it is kept and in which format. */
  public enum Role {
    /** A table of which tokens read rows, such as the token embedding. */
    EMBEDDING,
    /** The output projection, where it is not the table of embeddings. */
    OUTPUT,
    /** A matrix that every token is multiplied with. */
    MATRIX,
    /** Matrices of heads, one after the other, of which each multiplies what is that head's. */
    HEADS,
    /** Matrices of experts, one after the other, of which a token uses some. */
    EXPERTS,
    /** The matrix that chooses experts. */
    ROUTER,
    /** Factors of a norm, or others beside them. */
    NORM,
    /** Summands of the results of a product. */
    BIAS,
    /** Rates at which states fade, each below 0. */
    DECAY,
    /** Other numbers of which a layer has few: sinks, decays, taps of a convolution. */
    NUMBERS;

    /** Says whether such a tensor is decoded to F32 when a model is opened, and always stays. */
    public boolean isSmall() {
      return this == NORM || this == BIAS || this == DECAY || this == NUMBERS;
    }
  }

  public TensorSpec {
    shape = List.copyOf(shape);
  }

  /** A tensor that a model must have, by itself. */
  public TensorSpec(String name, Role role, int... shape) {
    this(name, role, false, null, Arrays.stream(shape).mapToObj(Long::valueOf).toList(), 1);
  }

  /** The same under another name. */
  public TensorSpec named(String other) {
    return new TensorSpec(other, role, optional, fused, shape, reads);
  }

  /** The same, which a model may do without. */
  TensorSpec orNone() {
    return new TensorSpec(name, role, true, fused, shape, reads);
  }

  /** The same, whose rows may be in another. */
  TensorSpec in(@Nullable String other) {
    return new TensorSpec(name, role, optional, other, shape, reads);
  }

  /** The same, of which a token reads so many rows. */
  TensorSpec reading(int rows) {
    return new TensorSpec(name, role, optional, fused, shape, rows);
  }

  /** The tensors that may stand for some of these, by what these call them. */
  public static Map<String, TensorSpec> fused(List<TensorSpec> tensors) {
    Map<String, TensorSpec> wholes = new LinkedHashMap<>();
    for (TensorSpec part : tensors) {
      if (part.fused != null) {
        TensorSpec whole =
            new TensorSpec(part.fused, part.role, part.optional, null, part.shape, 1);
        wholes.merge(part.fused, whole, TensorSpec::followedBy);
      }
    }
    return wholes;
  }

  /** With the rows of another after its own. */
  private TensorSpec followedBy(TensorSpec other) {
    // Of experts it is each that has the rows of both.
    int rows = role == Role.EXPERTS ? 1 : shape.size() - 1;
    List<Long> sum = new ArrayList<>(shape);
    sum.set(rows, shape.get(rows) + other.shape.get(rows));
    return new TensorSpec(name, role, optional, fused, sum, reads);
  }
}
