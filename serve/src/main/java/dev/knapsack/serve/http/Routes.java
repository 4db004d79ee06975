package dev.knapsack.serve.http;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The paths that are served, and by whom. */
public final class Routes {
  /** Answers one exchange, in a virtual thread. */
  @FunctionalInterface
  public interface Handler {
    /**
     * @throws Refusal if it is not served; the API's form of it becomes the answer
     */
    void handle(Exchange exchange);
  }

  /**
   * A path with its handler.
   *
   * @param pattern a path whose parts in braces are variables, such as {@code /v1/models/{id}}
   * @param open served without a key
   */
  record Route(String method, String pattern, ErrorForm errors, boolean open, Handler handler) {
    /** The variables of a path; null if it is another's. */
    @Nullable Map<String, String> match(String path) {
      String[] parts = pattern.split("/", -1);
      String[] given = path.split("/", -1);
      if (parts.length != given.length) {
        return null;
      }
      Map<String, String> variables = new HashMap<>();
      for (int i = 0; i < parts.length; i++) {
        if (parts[i].startsWith("{")) {
          variables.put(parts[i].substring(1, parts[i].length() - 1), given[i]);
        } else if (!parts[i].equals(given[i])) {
          return null;
        }
      }
      return variables;
    }
  }

  private final List<Route> routes = new ArrayList<>();

  /** Served to whoever has a key, where keys are wanted. */
  public Routes add(String method, String pattern, ErrorForm errors, Handler handler) {
    routes.add(new Route(method, pattern, errors, false, handler));
    return this;
  }

  /** Served to everybody. */
  public Routes addOpen(String method, String pattern, ErrorForm errors, Handler handler) {
    routes.add(new Route(method, pattern, errors, true, handler));
    return this;
  }

  /** A route and the variables of its path. */
  record Match(Route route, Map<String, String> variables) {}

  /** The route of a request; null if there is none. */
  @Nullable Match find(String method, String path) {
    for (Route route : routes) {
      Map<String, String> variables = route.match(path);
      if (variables != null && (route.method.equals(method) || isHead(route, method))) {
        return new Match(route, variables);
      }
    }
    return null;
  }

  private static boolean isHead(Route route, String method) {
    return method.equals("HEAD") && route.method.equals("GET");
  }

  /** The methods by which a path is served. */
  Set<String> methods(String path) {
    Set<String> methods = new LinkedHashSet<>();
    routes.stream().filter(r -> r.match(path) != null).forEach(r -> methods.add(r.method));
    return methods;
  }

  /** The form of errors on a path that is not served: that of the route most like it. */
  ErrorForm errors(String path, ErrorForm otherwise) {
    return routes.stream()
        .filter(r -> r.match(path) != null)
        .map(Route::errors)
        .findFirst()
        .orElse(otherwise);
  }
}
