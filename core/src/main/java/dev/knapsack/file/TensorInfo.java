package dev.knapsack.file;

import dev.knapsack.tensor.Format;
import java.util.List;

/**
 * A tensor as the header alone has it: its GGUF name, format and shape.
 *
 * @param name the GGUF name, such as {@code blk.0.attn_q.weight}, whatever kind of file it comes
 *     from
 * @param shape dimensions as GGUF orders them: the first runs fastest ({@code [columns, rows]} or
 *     {@code [columns, rows, experts]})
 */
public record TensorInfo(String name, Format format, List<Long> shape) {
  public TensorInfo {
    shape = List.copyOf(shape);
  }

  public long values() {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  /** The number of matrices that lie one after the other: experts, of which there may be one. */
  public long matrices() {
    return shape.stream().skip(2).reduce(1L, Math::multiplyExact);
  }

  public long bytes() {
    return format.bytes(values());
  }
}
