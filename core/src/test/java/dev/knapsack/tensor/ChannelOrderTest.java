package dev.knapsack.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChannelOrderTest {
  private static ChannelOrder order(int headSize, double... sizes) {
    MemorySegment data = MemorySegment.ofArray(new int[sizes.length + 3]);
    assertThat(ChannelOrder.bytes(sizes.length)).isEqualTo(4L * sizes.length);
    return ChannelOrder.largestFirst(sizes, headSize, data);
  }

  @Test
  void theLargestComeFirstAndEqualsAsTheyWere() {
    ChannelOrder order = order(4, 1, 3, 2, 3, 0, 0, Double.POSITIVE_INFINITY, 0);
    assertThat(order.heads()).isEqualTo(2);
    assertThat(order.channels()).containsExactly(1, 3, 2, 0, 2, 0, 1, 3);
  }

  @Test
  void headsOfAGroupAreInOneOrder() {
    ChannelOrder order = order(3, 1, 2, 3, 5, 6, 4);
    float[] row = {10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42};
    float[] out = new float[row.length];
    order.put(order.channels(), row, out);
    assertThat(out).containsExactly(12, 11, 10, 22, 21, 20, 31, 30, 32, 41, 40, 42);
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1", "32, 2, 1", "80, 3, 4", "128, 8, 2"})
  void whatIsPutBackIsAsItWas(int headSize, int heads, int group) {
    Random random = new Random(headSize);
    double[] sizes = random.doubles((long) headSize * heads).toArray();
    ChannelOrder order = order(headSize, sizes);
    int[] channels = order.channels();
    float[] row = new float[sizes.length * group];
    for (int i = 0; i < row.length; i++) {
      row[i] = i;
    }
    float[] put = new float[row.length];
    float[] back = new float[row.length];
    order.put(channels, row, put);
    order.putBack(channels, put, back);
    assertThat(back).isEqualTo(row);
    for (int head = 0; head < row.length; head += headSize) {
      float[] sorted = Arrays.copyOfRange(put, head, head + headSize);
      int own = head / headSize / group * headSize;
      for (int i = 1; i < headSize; i++) {
        assertThat(sizes[own + (int) sorted[i] - head])
            .isLessThanOrEqualTo(sizes[own + (int) sorted[i - 1] - head]);
      }
    }
  }
}
