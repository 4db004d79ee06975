package dev.knapsack.engine;

import dev.knapsack.file.ModelFile;
import dev.knapsack.file.TensorInfo;
import dev.knapsack.model.WeightLayout;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Parts of tensors that are read together into one piece of memory, and where each lies in it.
 *
 * @param bytes size of the memory, which begins at a multiple of {@link WeightLayout#SECTOR}
 */
record Region(List<Part> parts, long bytes) {
  /** Bytes {@code [from, from + bytes)} of a tensor, at byte {@code at} of the memory. */
  record Part(TensorInfo tensor, long from, long bytes, long at) {}

  Region {
    parts = List.copyOf(parts);
  }

  /** All of these tensors. */
  static Region of(ModelFile file, List<TensorInfo> tensors) {
    List<Part> parts = new ArrayList<>();
    long end = 0;
    for (TensorInfo tensor : tensors) {
      end = add(parts, file, tensor, 0, tensor.bytes(), end);
    }
    return new Region(parts, end);
  }

  /** Rows {@code [from, to)} of a tensor of rows. */
  static Region ofRows(ModelFile file, TensorInfo tensor, int from, int to) {
    long row = tensor.format().bytes(tensor.shape().getFirst());
    List<Part> parts = new ArrayList<>();
    long end = add(parts, file, tensor, from * row, (to - from) * row, 0);
    return new Region(parts, end);
  }

  /** One expert of each of these tensors. */
  static Region ofExpert(ModelFile file, List<TensorInfo> tensors, int expert) {
    List<Part> parts = new ArrayList<>();
    long end = 0;
    for (TensorInfo tensor : tensors) {
      long bytes = tensor.bytes() / tensor.matrices();
      end = add(parts, file, tensor, expert * bytes, bytes, end);
    }
    return new Region(parts, end);
  }

  private static long add(
      List<Part> parts, ModelFile file, TensorInfo tensor, long from, long bytes, long end) {
    long at = WeightLayout.place(end, file.alignment(tensor, from));
    parts.add(new Part(tensor, from, bytes, at));
    return at + bytes;
  }

  /** The same parts without room between them, for memory that has none: reading copies them. */
  Region packed() {
    List<Part> packed = new ArrayList<>();
    long end = 0;
    for (Part part : parts) {
      long at = (end + 63) / 64 * 64;
      packed.add(new Part(part.tensor, part.from, part.bytes, at));
      end = at + part.bytes;
    }
    return new Region(packed, end);
  }

  /** A part as a matrix of rows, where it lies in {@code memory}. */
  static Matrix matrix(Part part, MemorySegment memory) {
    TensorInfo tensor = part.tensor;
    int columns = Math.toIntExact(tensor.shape().getFirst());
    int rows = Math.toIntExact(part.bytes / tensor.format().bytes(columns));
    return new Matrix(tensor.format(), rows, columns, memory.asSlice(part.at, part.bytes));
  }
}
