package dev.knapsack.serve.http;

import dev.knapsack.generation.Usage;
import dev.knapsack.serve.CacheShare;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The facts of an exchange when it has ended, for the log and for metrics. */
public final class Receipt {
  private final long begin = System.nanoTime();
  private int status;
  private String model = "";
  private String tenant = "";
  private int priority;
  private CacheShare share = CacheShare.ALL;
  private String outcome = "";
  private final List<Usage> usage = new ArrayList<>();

  Receipt() {}

  public synchronized void status(int value) {
    status = value;
  }

  public synchronized void model(String name) {
    model = name;
  }

  /** The key that it was let in with. */
  public synchronized void tenant(String name, int itsPriority, CacheShare itsShare) {
    tenant = name;
    priority = itsPriority;
    share = itsShare;
  }

  /** The code of a refusal, or the reason of the end of an answer. */
  public synchronized void outcome(String word) {
    outcome = word;
  }

  /** An answer that was written. */
  public synchronized void used(Usage value) {
    usage.add(value);
  }

  /** The status; 0 while no answer has begun. */
  public synchronized int status() {
    return status;
  }

  public synchronized String model() {
    return model;
  }

  public synchronized String tenant() {
    return tenant;
  }

  public synchronized int priority() {
    return priority;
  }

  /** The part of each model's cache that all of its key's requests may hold. */
  public synchronized CacheShare share() {
    return share;
  }

  public synchronized String outcome() {
    return outcome;
  }

  public synchronized List<Usage> usage() {
    return List.copyOf(usage);
  }

  /** The answer that was written, of several the first. */
  public synchronized Optional<Usage> first() {
    return usage.stream().findFirst();
  }

  public double seconds() {
    return (System.nanoTime() - begin) / 1e9;
  }
}
