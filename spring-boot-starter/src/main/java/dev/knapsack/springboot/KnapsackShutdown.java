package dev.knapsack.springboot;

import dev.knapsack.springai.KnapsackChatModel;
import org.springframework.context.SmartLifecycle;

/**
 * The end of a program, which waits for the answers under way, as long as {@code
 * spring.lifecycle.timeout-per-shutdown-phase} allows. New ones may begin meanwhile: a request that
 * is being ended may still have to call a tool and ask again.
 */
final class KnapsackShutdown implements SmartLifecycle {
  private final KnapsackChatModel model;
  private volatile boolean running;

  KnapsackShutdown(KnapsackChatModel model) {
    this.model = model;
  }

  @Override
  public void start() {
    running = true;
  }

  @Override
  public void stop() {
    running = false;
  }

  @Override
  public void stop(Runnable callback) {
    running = false;
    model.whenIdle(callback);
  }

  @Override
  public boolean isRunning() {
    return running;
  }

  /** Stopped after web servers, whose requests end first. */
  @Override
  public int getPhase() {
    return SmartLifecycle.DEFAULT_PHASE - 4096;
  }
}
