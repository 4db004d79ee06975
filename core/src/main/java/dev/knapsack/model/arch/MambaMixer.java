package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.ChannelScan;
import dev.knapsack.model.EarlierOutputs;
import dev.knapsack.model.Norms;
import dev.knapsack.model.Replacement;
import dev.knapsack.model.SelectiveScan.Selection;
import java.util.List;
import java.util.Set;

/**
 * MambaMixer (Behrouz et al., arXiv 2403.19888): a scan of tokens and one of channels in each
 * layer, either of which gets an average of all that earlier ones gave.
 */
final class MambaMixer extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("ssm_conv1d.bias", "ssm_dt.bias");
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    int width = header.width();
    int averages = 2 * header.layers();
    if ((long) averages * width > Header.MOST_COLUMNS) {
      throw header.wrong(
          "block_count",
          "%d results of %d numbers are too many to be kept".formatted(averages, width));
    }
    return List.of(
        new EarlierOutputs(width, 2 * layer, averages),
        new Replacement(Mamba.selectiveScan(header, Family.BEFORE_MIXER, Selection.AS_IT_IS)),
        new EarlierOutputs(width, 2 * layer + 1, averages),
        new Replacement(channelScan(header)));
  }

  private static ChannelScan channelScan(Header header) {
    int inner = header.columns("channel.inner_size");
    int state = header.columns("channel.state_size");
    int rank = header.columns("channel.time_step_rank");
    long most = Math.max(2L * inner, Math.max((long) inner * state, rank + 2L * state));
    if (header.width() * most > Header.MOST_COLUMNS) {
      throw header.wrong(
          "channel.state_size",
          "%d numbers are too many for %d channels of each of %d numbers"
              .formatted(state, inner, header.width()));
    }
    return new ChannelScan(
        new Norms("ffn_norm.weight", null),
        header.width(),
        inner,
        state,
        rank,
        header.taps("channel.conv_kernel"));
  }
}
