package dev.knapsack.langchain4j;

import dev.langchain4j.model.chat.common.LastChatExchange;
import java.lang.reflect.Method;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.jupiter.params.ParameterizedTest;
import org.opentest4j.TestAbortedException;

/**
 * One of LangChain4j's kits, and its cases that a model does not pass, each with the reason. They
 * are run all the same: one that passes must be taken off the list.
 */
record Kit(Class<?> type, Map<String, String> beyond) implements InvocationInterceptor {
  /** A kit of which all cases pass. */
  Kit(Class<?> type) {
    this(type, Map.of());
  }

  /** The names of the kit's cases. */
  Set<String> cases() {
    Set<String> names = new TreeSet<>();
    for (Class<?> c = type; c != Object.class; c = c.getSuperclass()) {
      for (Method method : c.getDeclaredMethods()) {
        if (method.isAnnotationPresent(Test.class)
            || method.isAnnotationPresent(ParameterizedTest.class)) {
          names.add(method.getName());
        }
      }
    }
    return names;
  }

  @Override
  public void interceptTestMethod(
      Invocation<Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    run(invocation, method.getExecutable().getName());
  }

  @Override
  public void interceptTestTemplateMethod(
      Invocation<Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    run(invocation, method.getExecutable().getName());
  }

  private void run(Invocation<Void> invocation, String name) throws Throwable {
    String reason = beyond.get(name);
    if (reason == null) {
      invocation.proceed();
      return;
    }
    try {
      invocation.proceed();
    } catch (Throwable failure) {
      LastChatExchange.recordRequest(null); // or the kit would make a failure of it again
      throw new TestAbortedException(reason, failure);
    }
    throw new AssertionError(name + " passes; take it off the list of what is beyond the model");
  }
}
