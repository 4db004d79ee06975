package dev.knapsack.model;

import dev.knapsack.kernel.Compute;
import dev.knapsack.tensor.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A model's forward pass: tokens of one or several sequences in, logits out.
 *
 * <p>For use by one thread at a time; the work is spread by the {@link Compute}. The memory it
 * works in belongs to whoever made it.
 */
public final class Transformer {
  private final ModelSpec spec;
  private final WeightSource weights;
  private final Compute compute;
  private final Workspace workspace;
  private final Blocks blocks;
  private final MemoryLookup lookup;
  private final AttentionBlock attention;
  private final LatentAttentionBlock latentAttention;
  private final ShortConvolutionBlock convolution;
  private final StateSpaceBlock stateSpace;
  private final SelectiveStateSpaceBlock selectiveStateSpace;
  private final SelectiveScanBlock selectiveScan;
  private final ChannelScanBlock channelScan;
  private final TimeMixBlock timeMix;
  private final ChannelMixBlock channelMix;
  private final DeltaRuleBlock deltaRule;
  private final MixtureOfMemoriesBlock memories;
  private final EideticAttentionBlock eideticAttention;
  private final LinearGruBlock linearGru;
  private final DenseBlock dense;
  private final ExpertsBlock experts;
  private final PerLayerBlock perLayer;
  private final NgramMemoryBlock ngramMemory;
  private final NanoEmbedderBlock nanoEmbedder;
  private final LaurelBlock laurel;
  private final AltUpBlock altUp;
  private final List<Block.Weights> opening;
  private final List<Block.Weights> closing;
  private final @Nullable Norm embeddingNorm;
  private final @Nullable Norm outputNorm;

  /** Makes vectors of rows; null where the model writes. */
  private final @Nullable EncodingHead head;

  /** Columns of what goes beside the residual stream, and so loses the rows that that loses. */
  private final Map<Slot, Integer> lasting;

  /** The block after which tokens do not see each other. */
  private final Place lastMixing;

  /** Attention reads the rows of a step, which has to have all tokens of a text then. */
  private final boolean wholeTexts;

  private final int[] ids;

  /** By layer, whether a block reads the residual stream as the layer got it. */
  private final boolean[] readsInput;

  private final int[] positions;

  /** The part of its text that each row is in. */
  private final int[] types;

  private final int[] logitRows;

  /**
   * @param compute made for at least {@link ModelSpec#limits} of the workspace's tokens
   */
  public Transformer(ModelSpec spec, WeightSource weights, Compute compute, Workspace workspace) {
    this.spec = spec;
    this.weights = weights;
    this.compute = compute;
    this.workspace = workspace;
    this.blocks = new Blocks(spec, compute, workspace);
    this.lookup = new MemoryLookup(blocks, weights);
    this.attention = new AttentionBlock(blocks, lookup);
    this.latentAttention = new LatentAttentionBlock(blocks, attention);
    this.convolution = new ShortConvolutionBlock(blocks);
    this.stateSpace = new StateSpaceBlock(blocks);
    this.selectiveStateSpace = new SelectiveStateSpaceBlock(blocks, stateSpace);
    this.selectiveScan = new SelectiveScanBlock(blocks);
    this.channelScan = new ChannelScanBlock(blocks, selectiveScan);
    this.timeMix = new TimeMixBlock(blocks);
    this.channelMix = new ChannelMixBlock(blocks);
    this.deltaRule = new DeltaRuleBlock(blocks);
    this.memories = new MixtureOfMemoriesBlock(blocks, deltaRule);
    this.eideticAttention = new EideticAttentionBlock(blocks, selectiveScan);
    this.linearGru = new LinearGruBlock(blocks);
    this.dense = new DenseBlock(blocks);
    this.experts = new ExpertsBlock(blocks, dense);
    this.perLayer = new PerLayerBlock(blocks, weights);
    this.ngramMemory = new NgramMemoryBlock(blocks, weights);
    this.laurel = new LaurelBlock(blocks);
    this.altUp = new AltUpBlock(blocks, perLayer);
    this.opening = LayerWeights.outside(spec.opening(), weights::find);
    this.closing = LayerWeights.outside(spec.closing(), weights::find);
    this.embeddingNorm = norm(spec.embeddingNorm());
    this.outputNorm = norm(spec.outputNorm());
    Encoding encoding = spec.encoding();
    this.head = encoding == null ? null : new EncodingHead(blocks, encoding, weights);
    this.nanoEmbedder = new NanoEmbedderBlock(blocks, weights, opening);
    this.lasting = spec.lasting();
    this.lastMixing = lastMixing(spec);
    this.wholeTexts = spec.readsWholeTexts();
    this.ids = new int[workspace.tokens()];
    this.readsInput = new boolean[spec.layers().size()];
    for (int l = 0; l < readsInput.length; l++) {
      readsInput[l] = spec.layers().get(l).readsInput();
    }
    this.positions = new int[workspace.tokens()];
    this.types = new int[workspace.tokens()];
    this.logitRows = new int[workspace.logitRows()];
  }

  private @Nullable Norm norm(@Nullable String name) {
    return name == null ? null : Norm.find(name, weights::find);
  }

  private record Place(int layer, int block) {}

  private static Place lastMixing(ModelSpec spec) {
    for (int l = spec.layers().size() - 1; l >= 0; l--) {
      List<Block> blocks = spec.layers().get(l).blocks();
      for (int b = blocks.size() - 1; b >= 0; b--) {
        if (blocks.get(b).mixesTokens()) {
          return new Place(l, b);
        }
      }
    }
    throw new IllegalArgumentException("In " + spec.name() + " no token sees another");
  }

  /**
   * Computes a step: each run's tokens are added to its sequence.
   *
   * @return F32, a row of {@link ModelSpec#vocabulary()} logits for each token that they were
   *     wanted of, run after run; valid until the next step
   * @throws IllegalArgumentException if the step is larger than the workspace, or a token is none
   *     of the vocabulary; nothing has been computed then
   * @throws dev.knapsack.error.BudgetExceededException if the caches cannot grow; they are as they
   *     were
   */
  public Matrix forward(List<Run> runs) {
    int tokens = check(runs);
    for (Run run : runs) {
      run.state().reserve(run.length());
      run.state().kv().text().read(run.tokens(), run.from(), run.from() + run.added());
    }
    Matrix logits = logits(rows(runs, tokens));
    for (Run run : runs) {
      run.state().commit(run.added());
    }
    return logits;
  }

  /**
   * Computes a step of texts, each whole and by itself: what a text gets does not depend on the
   * others, bit for bit.
   *
   * @param runs see {@link Run#text}; the rows that are wanted of a text are those that are pooled
   * @return F32, a row for each text, or without pooling for each row; valid until the next step
   * @throws IllegalArgumentException as {@link #forward}
   */
  public Matrix encode(List<Run> runs) {
    Matrix hidden = rows(runs, check(runs));
    Matrix normed = blocks.matrix(Slot.NORMED, hidden.rows(), spec.width());
    return Objects.requireNonNull(head).apply(runs, blocks.norm(hidden, outputNorm, normed));
  }

  /** The residual stream after the last block, of the rows that are wanted. */
  private Matrix rows(List<Run> runs, int tokens) {
    int wanted = place(runs);
    Matrix hidden = embed(runs, tokens);
    compute.alone(alone(runs));
    blocks.adapted = AdapterRows.of(runs, Run::length);
    for (Block.Weights block : opening) {
      apply(block, runs, hidden);
    }
    for (int l = 0; l < spec.layers().size(); l++) {
      LayerWeights layer = weights.layer(l);
      if (readsInput[l]) {
        layerInput(hidden).data().copyFrom(hidden.data());
      }
      for (int b = 0; b < layer.blocks().size() && hidden.rows() > 0; b++) {
        apply(layer.blocks().get(b), runs, hidden);
        if (l == lastMixing.layer && b == lastMixing.block) {
          if (readsInput[l]) {
            gather(layerInput(hidden), wanted);
          }
          hidden = only(wanted, runs, hidden);
        }
      }
    }
    for (int b = 0; b < closing.size() && hidden.rows() > 0; b++) {
      apply(closing.get(b), runs, hidden);
    }
    return hidden;
  }

  /** Goes on with the rows whose logits are wanted alone: from there, tokens do not see others. */
  private Matrix only(int wanted, List<Run> runs, Matrix hidden) {
    for (Map.Entry<Slot, Integer> slot : lasting.entrySet()) {
      gather(blocks.matrix(slot.getKey(), hidden.rows(), slot.getValue()), wanted);
    }
    compute.alone(aloneLogits(runs));
    blocks.adapted = AdapterRows.of(runs, Run::logits);
    return gather(hidden, wanted);
  }

  /** Counts the rows, the first, that are multiplied as if each were alone. */
  private static int alone(List<Run> runs) {
    int written = 0;
    int others = 0;
    boolean fits = true;
    boolean several = false;
    for (Run run : runs) {
      written += run.kind() == Run.Kind.WRITTEN ? 1 : 0;
      others += run.kind() == Run.Kind.WRITTEN ? 0 : run.length();
      several |= run.kind() == Run.Kind.PROMPT || run.kind() == Run.Kind.TEXT;
      fits &= run.kind() == Run.Kind.SHARED;
    }
    return fits ? Compute.AS_FITS : others == 1 && !several ? written + 1 : written;
  }

  /**
   * The same of the rows whose logits are wanted: of sequences that depend on none, one each; of
   * texts several.
   */
  private static int aloneLogits(List<Run> runs) {
    int own = 0;
    boolean texts = false;
    for (Run run : runs) {
      texts |= run.kind() == Run.Kind.TEXT;
      own += run.kind().compareTo(Run.Kind.TEXT) < 0 ? run.logits() : 0;
    }
    return own == 0 && !texts ? Compute.AS_FITS : own;
  }

  private int check(List<Run> runs) {
    long tokens = 0;
    long wanted = 0;
    Run.Kind last = Run.Kind.WRITTEN;
    for (Run run : runs) {
      if (run.kind().compareTo(last) < 0) {
        throw new IllegalArgumentException("Runs of a step are not in the order of their kinds");
      }
      last = run.kind();
      tokens += run.length();
      wanted += run.logits();
      check(run);
    }
    if (tokens < 1 || tokens > workspace.tokens() || wanted > workspace.logitRows()) {
      throw new IllegalArgumentException(
          "A step of %d tokens and %d rows of logits; this workspace takes 1 to %d, and up to %d"
              .formatted(tokens, wanted, workspace.tokens(), workspace.logitRows()));
    }
    return (int) tokens;
  }

  private void check(Run run) {
    if (run.adapter() != null) {
      run.adapter().check(spec);
    }
    if (wholeTexts && run.start() > 0) {
      throw new IllegalArgumentException(
          "A text of %s is computed whole: its tokens see the rows of one step, and %,d are of another"
              .formatted(spec.name(), run.start()));
    }
    for (int i = run.from(); i < run.to(); i++) {
      int token = run.tokens()[i];
      if (token < 0 || token >= spec.vocabulary()) {
        throw new IllegalArgumentException(
            "Token %d is none of the vocabulary's %d".formatted(token, spec.vocabulary()));
      }
    }
  }

  private Matrix embed(List<Run> runs, int tokens) {
    Matrix hidden = blocks.matrix(Slot.HIDDEN, tokens, spec.width());
    int row = 0;
    for (Run run : runs) {
      for (int i = run.from(); i < run.to(); i++) {
        ids[row++] = run.tokens()[i];
      }
    }
    if (nanoEmbedder.embeds()) {
      return hidden; // the block that opens the pass does it
    }
    weights.gather(ModelSpec.EMBEDDING, ids, hidden);
    if (spec.embeddingScale() != 1) {
      compute.scale(hidden, spec.embeddingScale());
    }
    return blocks.norm(hidden, embeddingNorm, hidden);
  }

  /** Says where rows stand in their sequences and which rows' logits are wanted; counts these. */
  private int place(List<Run> runs) {
    int row = 0;
    int wanted = 0;
    for (Run run : runs) {
      for (int i = 0; i < run.length(); i++) {
        positions[row] = run.start() + i;
        if (i >= run.added() - run.logits() && i < run.added()) {
          logitRows[wanted++] = row;
        }
        row++;
      }
    }
    return wanted;
  }

  private void apply(Block.Weights block, List<Run> runs, Matrix hidden) {
    switch (block) {
      case Block.Addend addend -> blocks.addResidual(hidden, result(addend, runs, hidden));
      case Block.Change change -> change(change, runs, hidden);
    }
  }

  private void change(Block.Change block, List<Run> runs, Matrix hidden) {
    switch (block) {
      case AltUp.Weights w -> altUp.apply(w, hidden);
      case PerLayerInputs.Weights w -> perLayer.prepare(w, ids, hidden);
      case NanoEmbedder.Weights w -> nanoEmbedder.embed(w, ids, positions, hidden);
      case Scale.Weights w -> compute.scale(hidden, w.factor());
      case ValueEmbeddings.Weights w ->
          weights.gather(
              ValueEmbeddings.TABLE,
              ids,
              blocks.matrix(Slot.VALUE_BANK, hidden.rows(), w.spec().columns()));
      case EarlierOutputs.Weights w -> w.apply(blocks, hidden);
      case PlaceEmbeddings.Weights w -> place(w.spec(), runs, hidden);
      case StreamNorm.Weights w -> {
        if (w.spec().again()) {
          compute.add(hidden, layerInput(hidden));
        }
        blocks.norm(hidden, w.norm(), hidden);
      }
      case Replacement.Weights w -> hidden.data().copyFrom(result(w.block(), runs, hidden).data());
    }
  }

  private void place(PlaceEmbeddings places, List<Run> runs, Matrix hidden) {
    Matrix rows = blocks.matrix(Slot.DELTA, hidden.rows(), spec.width());
    if (places.positions() > 0) {
      weights.gather(PlaceEmbeddings.POSITIONS, positions, rows);
      compute.add(hidden, rows);
    }
    if (places.types() > 0) {
      places.types(runs, types);
      weights.gather(PlaceEmbeddings.TYPES, types, rows);
      compute.add(hidden, rows);
    }
  }

  private Matrix result(Block.Addend block, List<Run> runs, Matrix hidden) {
    Matrix normed = blocks.matrix(Slot.NORMED, hidden.rows(), spec.width());
    Matrix delta = blocks.matrix(Slot.DELTA, hidden.rows(), spec.width());
    compute(block, runs, hidden, normed, delta);
    return delta;
  }

  /**
   * Computes a block with its norms.
   *
   * @param normed for what it reads
   * @param delta receives its result
   */
  private void compute(
      Block.Addend block, List<Run> runs, Matrix rows, Matrix normed, Matrix delta) {
    Matrix x = blocks.norm(rows, block.norms().before(), normed);
    switch (block) {
      case Attention.Weights w -> attention.apply(w, runs, positions, x, delta);
      case LatentAttention.Weights w -> latentAttention.apply(w, runs, positions, x, delta);
      case ShortConvolution.Weights w -> convolution.apply(w, runs, x, delta);
      case TextConvolution.Weights w -> convolution.apply(w, runs, x, delta);
      case StateSpace.Weights w -> stateSpace.apply(w, runs, x, delta);
      case SelectiveStateSpace.Weights w -> selectiveStateSpace.apply(w, runs, x, delta);
      case SelectiveScan.Weights w -> selectiveScan.apply(w, runs, x, delta);
      case ChannelScan.Weights w -> channelScan.apply(w, x, delta);
      case TimeMix.Weights w -> timeMix.apply(w, runs, x, delta);
      case ChannelMix.Weights w -> channelMix.apply(w, runs, x, delta);
      case DeltaRule.Weights w -> deltaRule.apply(w, runs, x, delta);
      case MixtureOfMemories.Weights w -> memories.apply(w, runs, x, delta);
      case EideticAttention.Weights w -> eideticAttention.apply(w, runs, positions, x, delta);
      case LinearGru.Weights w -> linearGru.apply(w, runs, x, delta);
      case Dense.Weights w -> dense.apply(w, x, delta);
      case Experts.Weights w ->
          experts.apply(
              w,
              switch (w.spec().routed()) {
                case INPUT -> x;
                case LAYER_INPUT -> layerInput(rows);
                case RESIDUAL -> rows;
              },
              x,
              delta);
      case Laurel.Weights w -> laurel.apply(w, x, delta);
      case Parallel.Weights w -> parallel(w, runs, x, delta);
      case NgramMemory.Weights w -> ngramMemory.apply(w, runs, ids, x, delta);
      case MemoryMlp.Weights w -> lookup.apply(w, x, delta);
      case PerLayerInput.Weights w -> perLayer.apply(w, x, delta);
    }
    blocks.norm(delta, block.norms().after(), delta);
  }

  private void parallel(Parallel.Weights weights, List<Run> runs, Matrix x, Matrix delta) {
    Matrix normed = blocks.matrix(Slot.PART_NORMED, x.rows(), spec.width());
    Matrix part = blocks.matrix(Slot.PART, x.rows(), spec.width());
    compute(weights.parts().getFirst(), runs, x, normed, delta);
    if (weights.factors().getFirst() != 1) {
      compute.scale(delta, weights.factors().getFirst());
    }
    for (int i = 1; i < weights.parts().size(); i++) {
      compute(weights.parts().get(i), runs, x, normed, part);
      compute.add(delta, part, weights.factors().get(i));
    }
  }

  /** The residual stream as the layer got it. */
  private Matrix layerInput(Matrix hidden) {
    return blocks.matrix(Slot.LAYER_INPUT, hidden.rows(), spec.width());
  }

  /** Moves the rows whose logits are wanted to the front. */
  private Matrix gather(Matrix hidden, int wanted) {
    for (int i = 0; i < wanted; i++) {
      if (logitRows[i] != i) {
        MemorySegment.copy(
            hidden.data(),
            hidden.rowOffset(logitRows[i]),
            hidden.data(),
            hidden.rowOffset(i),
            hidden.rowBytes());
      }
    }
    return hidden.rows(0, wanted);
  }

  private Matrix logits(Matrix hidden) {
    Matrix logits = blocks.matrix(Slot.LOGITS, hidden.rows(), spec.vocabulary());
    if (hidden.rows() == 0) {
      return logits;
    }
    Matrix normed = blocks.matrix(Slot.NORMED, hidden.rows(), spec.width());
    Matrix x = nanoEmbedder.reduce(blocks.norm(hidden, outputNorm, normed));
    Compute.Input input = compute.input(x);
    weights.output((first, block) -> project(block, first, x, input, logits));
    if (spec.logitScale() != 1) {
      compute.scale(logits, spec.logitScale());
    }
    if (spec.logitSoftCap() != 0) {
      compute.softCap(logits, spec.logitSoftCap());
    }
    return logits;
  }

  /** The logits of some of the vocabulary: columns {@code first} and on. */
  private void project(Matrix block, int first, Matrix x, Compute.Input input, Matrix logits) {
    if (block.rows() == logits.columns()) {
      compute.matmul(block, input, logits);
      return;
    }
    for (int row = 0; row < logits.rows(); row++) {
      MemorySegment columns =
          logits.data().asSlice(logits.rowOffset(row) + 4L * first, 4L * block.rows());
      Matrix out = new Matrix(logits.format(), 1, block.rows(), columns);
      compute.matmul(block, x.rows(row, row + 1), out);
    }
  }
}
