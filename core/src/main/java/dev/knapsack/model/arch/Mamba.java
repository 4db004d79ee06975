package dev.knapsack.model.arch;

import dev.knapsack.model.Block;
import dev.knapsack.model.Norms;
import dev.knapsack.model.SelectiveScan;
import dev.knapsack.model.SelectiveScan.Selection;
import java.util.List;
import java.util.Set;

/** Mamba: a selective scan in each layer, and nothing else; Falcon Mamba norms what selects. */
final class Mamba extends Family {
  @Override
  Set<String> requiredTensors() {
    return Set.of("ssm_conv1d.bias", "ssm_dt.bias");
  }

  @Override
  List<Block> blocks(Header header, int layer, int context) {
    boolean normed = header.flag("ssm.dt_b_c_rms", false);
    return List.of(
        selectiveScan(header, BEFORE_MIXER, normed ? Selection.NORMED : Selection.AS_IT_IS));
  }

  static SelectiveScan selectiveScan(Header header, Norms norms, Selection selection) {
    int inner = header.columns("ssm.inner_size");
    int state = header.columns("ssm.state_size");
    int rank = header.columns("ssm.time_step_rank");
    if ((long) inner * state > Header.MOST_COLUMNS || 2L * inner > Header.MOST_COLUMNS) {
      throw header.wrong(
          "ssm.state_size", "%d numbers are too many for %d channels".formatted(state, inner));
    }
    return new SelectiveScan(
        norms, header.width(), inner, state, rank, header.taps("ssm.conv_kernel"), selection);
  }
}
