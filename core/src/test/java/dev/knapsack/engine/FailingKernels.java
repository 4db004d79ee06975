package dev.knapsack.engine;

import dev.knapsack.kernel.Attention;
import dev.knapsack.kernel.GatedActivation;
import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
import dev.knapsack.kernel.MatrixProducts;
import dev.knapsack.kernel.Recurrences;
import dev.knapsack.kernel.RowOperations;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicLong;

/** The arithmetic of this machine, which can be made to fail. */
final class FailingKernels {
  static final String MESSAGE = "the processor is on fire";

  private final Kernels kernels = KernelProvider.best().kernels();
  private final AtomicLong left = new AtomicLong(Long.MAX_VALUE);

  /** One operation fails, after so many more. */
  void failOnceAfter(long operations) {
    left.set(operations);
  }

  KernelProvider.Choice choice() {
    Kernels failing =
        new Kernels(
            kernels.provider(),
            kernels.description(),
            kernels.missing(),
            failing(MatrixProducts.class, kernels.products()),
            failing(RowOperations.class, kernels.rows()),
            failing(GatedActivation.class, kernels.gatedActivation()),
            failing(Attention.class, kernels.attention()),
            failing(Recurrences.class, kernels.recurrences()),
            kernels.peak());
    return new KernelProvider.Choice(failing, "fails when it is told to");
  }

  private <T> T failing(Class<T> type, T part) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (_, method, arguments) -> call(part, method, arguments)));
  }

  private Object call(Object part, Method method, Object[] arguments) throws Throwable {
    if (method.getReturnType() == void.class && left.getAndDecrement() == 0) {
      throw new IllegalStateException(MESSAGE);
    }
    try {
      return method.invoke(part, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
