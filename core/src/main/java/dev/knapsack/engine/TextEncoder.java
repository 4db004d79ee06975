package dev.knapsack.engine;

import dev.knapsack.cache.KvLayout;
import dev.knapsack.error.EngineClosedException;
import dev.knapsack.error.PlanMismatchException;
import dev.knapsack.error.WaitInterruptedException;
import dev.knapsack.file.ModelFile;
import dev.knapsack.host.Host;
import dev.knapsack.kernel.Compute;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.WorkerTeam;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.Encoding;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.model.Run;
import dev.knapsack.model.Transformer;
import dev.knapsack.model.Workspace;
import dev.knapsack.os.FlightRecording;
import dev.knapsack.plan.Plan;
import dev.knapsack.tensor.Matrix;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A model that is open to make vectors or scores of texts: its weights where the plan puts them,
 * and the activations of one step.
 *
 * <p>Texts of all callers go into steps side by side, in the order of coming, as many as a step's
 * activations have room for, without padding; a text's result is the same, bit for bit, whatever is
 * beside it. Everything is leased when it is opened, in the accounts {@code jvm}, {@code weights}
 * and {@code activations}; computing takes nothing more, and closing gives every byte back. Safe
 * for use by many threads.
 */
public final class TextEncoder implements AutoCloseable {
  /** Steps whose tokens may wait: who brings more waits for room, so that the heap stays small. */
  private static final int STEPS_WAITING = 4;

  private final Plan plan;
  private final ModelSpec spec;
  private final Encoding encoding;
  private final Budget budget;
  private final KernelProvider.Choice kernels;
  private final Deque<AutoCloseable> held = new ArrayDeque<>();
  private final WorkerTeam team;
  private final Transformer transformer;
  private final Thread thread;

  private final ReentrantLock lock = new ReentrantLock(true);
  private final Condition waiting = lock.newCondition();
  private final Condition room = lock.newCondition();

  // Guarded by the lock.
  private final Deque<Text> texts = new ArrayDeque<>();
  private long tokensWaiting;
  private boolean closed;

  /** A text that is to be computed, and where its result goes. */
  private record Text(int[] tokens, CompletableFuture<float[]> result) {}

  private TextEncoder(
      ModelFile file, ModelSpec spec, Plan plan, Host host, Engine.Options options) {
    this.plan = plan;
    this.spec = spec;
    this.encoding = Objects.requireNonNull(spec.encoding());
    this.budget = host.budget();
    this.kernels = host.kernels();
    int tokens = plan.prefillChunk();
    if (tokens < plan.context()) {
      throw new PlanMismatchException(
          "The plan has steps of %,d tokens, and %s computes a text of up to %,d in one; plan anew."
              .formatted(tokens, spec.name(), plan.context()));
    }
    try {
      Host.Tenant tenant = Engine.hold(held, host.enter(options.share()));
      Engine.checkRoom(plan, host, tenant.account("weights"));
      tenant.reserveJvm(plan.bytes("jvm"));
      KvLayout layout = plan.cache().layout(spec);
      this.team = tenant.team(plan.workers());
      Compute compute =
          Engine.hold(
              held,
              new Compute(
                  kernels.kernels(),
                  team,
                  options.precision(kernels),
                  spec.limits(tokens, layout),
                  tenant.account("activations")));
      Workspace workspace =
          Engine.hold(
              held,
              new Workspace(
                  spec, layout, tokens, spec.logitRows(tokens, 1), tenant.account("activations")));
      PlannedWeights weights =
          Engine.hold(
              held,
              new PlannedWeights(
                  file, spec, plan.weights(), tenant.account("weights"), team, options.progress()));
      this.transformer = new Transformer(spec, weights, compute, workspace);
    } catch (RuntimeException | Error e) {
      Engine.closeAll(held);
      throw e;
    }
    this.thread = Thread.ofPlatform().name("knapsack-encode").daemon().unstarted(this::steps);
  }

  /**
   * Loads a model as its plan says, in a host that it shares with others.
   *
   * @param file stays open until the encoder is closed, and is left to its owner
   * @param spec of the file, for the plan's context; one that encodes
   * @throws PlanMismatchException if the plan is not for this file
   * @throws dev.knapsack.error.BudgetExceededException if what the plan wants does not fit in what
   *     the budget has free
   */
  public static TextEncoder open(
      ModelFile file, ModelSpec spec, Plan plan, Host host, Engine.Options options) {
    PlanEvent event = FlightRecording.isOn() ? new PlanEvent(plan) : null;
    TextEncoder encoder = new TextEncoder(file, spec, plan, host, options);
    encoder.thread.start();
    if (event != null) {
      event.commit();
    }
    return encoder;
  }

  public Plan plan() {
    return plan;
  }

  public ModelSpec spec() {
    return spec;
  }

  public Budget budget() {
    return budget;
  }

  /** The arithmetic in use, and why. */
  public KernelProvider.Choice kernels() {
    return kernels;
  }

  /** Numbers in a vector, or scores of a pair. */
  public int columns() {
    return encoding.columns(spec.width());
  }

  /**
   * Has a text computed; waits while as much is waiting as may. A result that is cancelled before
   * its step begins is not computed.
   *
   * @param tokens all of them, special ones included: one to as many as the plan's context
   * @return its vector; without pooling, those of its tokens, one after the other
   * @throws EngineClosedException if this is closed
   * @throws WaitInterruptedException if the calling thread is interrupted while it waits
   */
  public CompletableFuture<float[]> submit(int[] tokens) {
    if (tokens.length < 1 || tokens.length > plan.context()) {
      throw new IllegalArgumentException(
          "A text of %,d tokens; the plan gives one 1 to %,d"
              .formatted(tokens.length, plan.context()));
    }
    Text text = new Text(tokens, new CompletableFuture<>());
    try {
      lock.lockInterruptibly();
    } catch (InterruptedException e) {
      throw interrupted();
    }
    try {
      while (tokensWaiting >= (long) STEPS_WAITING * plan.prefillChunk() && !closed) {
        room.await();
      }
      if (closed) {
        throw new EngineClosedException("encoder");
      }
      texts.add(text);
      tokensWaiting += tokens.length;
      waiting.signal();
    } catch (InterruptedException e) {
      throw interrupted();
    } finally {
      lock.unlock();
    }
    return text.result;
  }

  private static WaitInterruptedException interrupted() {
    Thread.currentThread().interrupt();
    return new WaitInterruptedException();
  }

  /**
   * Waits for a text's result.
   *
   * @throws WaitInterruptedException if the calling thread is interrupted meanwhile
   */
  public static float[] await(CompletableFuture<float[]> result) {
    try {
      return result.get();
    } catch (InterruptedException e) {
      throw interrupted();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new CompletionException(e.getCause());
    }
  }

  /** The work of the thread: one step after the other, until this is closed. */
  private void steps() {
    for (List<Text> step = next(); step != null; step = next()) {
      try {
        compute(step);
      } catch (RuntimeException | Error e) {
        step.forEach(text -> text.result.completeExceptionally(e));
      }
    }
  }

  /** Takes the texts that have waited longest, as many as fit in a step; null once closed. */
  private @Nullable List<Text> next() {
    List<Text> step = new ArrayList<>();
    lock.lock();
    try {
      int tokens = 0;
      while (step.isEmpty()) {
        while (texts.isEmpty()) {
          if (closed) {
            return null;
          }
          waiting.awaitUninterruptibly();
        }
        for (Text text = texts.peek();
            text != null && tokens + text.tokens.length <= plan.prefillChunk();
            text = texts.peek()) {
          texts.remove();
          tokensWaiting -= text.tokens.length;
          if (!text.result.isDone()) {
            step.add(text);
            tokens += text.tokens.length;
          }
        }
        room.signalAll();
      }
    } finally {
      lock.unlock();
    }
    return step;
  }

  private int waiting() {
    lock.lock();
    try {
      return texts.size();
    } finally {
      lock.unlock();
    }
  }

  private void compute(List<Text> step) {
    boolean last = encoding.pooling() == Encoding.Pooling.LAST;
    List<Run> runs =
        step.stream().map(t -> Run.text(t.tokens, last ? 1 : t.tokens.length)).toList();
    StepEvent event = FlightRecording.isOn() ? new StepEvent(spec.name()) : null;
    Matrix vectors = team.turn(() -> transformer.encode(runs));
    if (event != null) {
      int tokens = step.stream().mapToInt(text -> text.tokens.length).sum();
      event.end(step.size(), tokens, tokens, waiting(), 0, budget.used());
    }
    boolean pooled = encoding.pooling() != Encoding.Pooling.NONE;
    int row = 0;
    for (Text text : step) {
      int rows = pooled ? 1 : text.tokens.length;
      float[] all = new float[rows * vectors.columns()];
      new Matrix(vectors.format(), 1, all.length, vectors.rows(row, row + rows).data())
          .read(0, 0, all);
      row += rows;
      text.result.complete(all);
    }
  }

  /** Ends the step under way, refuses what waits, and gives every byte back. */
  @Override
  public void close() {
    List<Text> left;
    lock.lock();
    try {
      closed = true;
      left = List.copyOf(texts);
      texts.clear();
      tokensWaiting = 0;
      waiting.signalAll();
      room.signalAll();
    } finally {
      lock.unlock();
    }
    EngineClosedException refusal = new EngineClosedException("encoder");
    left.forEach(text -> text.result.completeExceptionally(refusal));
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    Engine.closeAll(held);
  }
}
