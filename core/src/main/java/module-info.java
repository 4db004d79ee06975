/**
 * Language models on the JVM, inside one memory budget that is named.
 *
 * <p>The door is {@code dev.knapsack}; the other packages hold the values that go through it. What
 * is not exported changes without notice.
 */
@org.jspecify.annotations.NullMarked
module dev.knapsack {
  requires com.google.gson;
  requires java.net.http;
  requires static jdk.incubator.vector;
  requires static jdk.jfr;
  requires jdk.unsupported;
  requires transitive static org.jspecify;

  exports dev.knapsack;
  exports dev.knapsack.cache.store;
  exports dev.knapsack.error;
  exports dev.knapsack.generation;
  exports dev.knapsack.host;
  exports dev.knapsack.memory;
  exports dev.knapsack.message;
  exports dev.knapsack.plan;
}
