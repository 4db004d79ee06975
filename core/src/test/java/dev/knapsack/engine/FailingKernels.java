package dev.knapsack.engine;

import dev.knapsack.kernel.KernelProvider;
import dev.knapsack.kernel.Kernels;
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
    Object failing =
        Proxy.newProxyInstance(
            Kernels.class.getClassLoader(),
            new Class<?>[] {Kernels.class},
            (_, method, arguments) -> call(method, arguments));
    return new KernelProvider.Choice((Kernels) failing, "fails when it is told to");
  }

  private Object call(Method method, Object[] arguments) throws Throwable {
    if (method.getReturnType() == void.class && left.getAndDecrement() == 0) {
      throw new IllegalStateException(MESSAGE);
    }
    try {
      return method.invoke(kernels, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
