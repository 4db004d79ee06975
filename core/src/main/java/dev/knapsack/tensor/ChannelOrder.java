package dev.knapsack.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Puts the channels of each head in the order of their size, so that those which share a block's
 * scale are alike and coarse formats lose less of the small ones (Trukhanov, Soloveychik, arXiv
 * 2403.20137).
 *
 * <p>Queries and keys in the same order have the inner products they had; of reordered values,
 * attention's weighted sum is put back once.
 *
 * @param headSize channels of a head
 * @param data for each head and each place in it the channel that comes there, one int each
 */
public record ChannelOrder(int headSize, MemorySegment data) {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  /** Bytes of the order of so many channels, all heads together. */
  public static long bytes(int channels) {
    return (long) Integer.BYTES * channels;
  }

  /**
   * The largest first; of equals, that which was first.
   *
   * @param sizes of all channels, head after head
   * @param data receives the order
   */
  public static ChannelOrder largestFirst(double[] sizes, int headSize, MemorySegment data) {
    for (int head = 0; head < sizes.length; head += headSize) {
      int first = head;
      int[] order =
          IntStream.range(0, headSize)
              .boxed()
              .sorted(Comparator.comparingDouble(channel -> -sizes[first + channel]))
              .mapToInt(channel -> channel)
              .toArray();
      MemorySegment.copy(order, 0, data, INT, bytes(head), headSize);
    }
    return new ChannelOrder(headSize, data.asSlice(0, bytes(sizes.length)));
  }

  /** Heads that have an order of their own. */
  public int heads() {
    return (int) (data.byteSize() / bytes(headSize));
  }

  /** The order as {@link #put} and {@link #putBack} read it: all heads, one after the other. */
  public int[] channels() {
    return data.toArray(INT);
  }

  /**
   * Puts a row's heads in order.
   *
   * @param channels as {@link #channels} gives them
   * @param row heads one after the other, as many for each that has an order
   * @param out receives them; another array
   */
  public void put(int[] channels, float[] row, float[] out) {
    int group = row.length / channels.length;
    for (int head = 0; head < row.length; head += headSize) {
      int order = head / (group * headSize) * headSize;
      for (int i = 0; i < headSize; i++) {
        out[head + i] = row[head + channels[order + i]];
      }
    }
  }

  /** The reverse of {@link #put}. */
  public void putBack(int[] channels, float[] row, float[] out) {
    int group = row.length / channels.length;
    for (int head = 0; head < row.length; head += headSize) {
      int order = head / (group * headSize) * headSize;
      for (int i = 0; i < headSize; i++) {
        out[head + channels[order + i]] = row[head + i];
      }
    }
  }
}
