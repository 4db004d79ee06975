package dev.knapsack.kernel;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.function.Predicate;

/** Counts calls of some methods of some objects. */
public final class Counter {
  private int calls;

  /** An object that does what another does, and counts. */
  public <T> T of(Class<T> type, T target, Predicate<Method> counted) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (_, method, arguments) -> {
              if (counted.test(method)) {
                calls++;
              }
              try {
                return method.invoke(target, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            }));
  }

  /** True where work calls what is counted. */
  public boolean called(Runnable work) {
    int before = calls;
    work.run();
    return calls > before;
  }
}
