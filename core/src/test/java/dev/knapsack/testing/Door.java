package dev.knapsack.testing;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import dev.knapsack.Knapsack;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;

/** The part of Knapsack that a program on the module path sees. */
public final class Door {
  private Door() {}

  /** Fails if what lies where this class does knows of Knapsack more than that, and its friends. */
  public static void check(Class<?> guest, Class<?>... friends) {
    String[] known =
        Stream.concat(
                Stream.concat(Stream.of(guest), Arrays.stream(friends)).map(Class::getPackageName),
                ModuleFinder.of(home(Knapsack.class))
                    .find("dev.knapsack")
                    .orElseThrow()
                    .descriptor()
                    .exports()
                    .stream()
                    .map(ModuleDescriptor.Exports::source))
            .toArray(String[]::new);
    noClasses()
        .should()
        .dependOnClassesThat(resideInAPackage("dev.knapsack..").and(resideOutsideOfPackages(known)))
        .check(new ClassFileImporter().importPath(home(guest)));
  }

  private static Path home(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
