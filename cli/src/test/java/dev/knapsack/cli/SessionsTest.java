package dev.knapsack.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Chats that go on in another run. */
class SessionsTest {
  private static final String TOLD =
      "Dan put the blue ring in the library. Kate's number is 4821. The tennis meeting is on"
          + " Monday.";

  @TempDir Path home;
  @TempDir Path cache;
  private Shell shell;

  @BeforeEach
  void shell() throws IOException {
    shell = new Shell(home).with("XDG_CACHE_HOME", cache.toString());
    // What the machine can do has been measured for all tests.
    Path measured = cache.resolve("knapsack");
    Files.createDirectories(measured);
    if (Files.isDirectory(Shell.CACHE.resolve("knapsack"))) {
      try (var files = Files.list(Shell.CACHE.resolve("knapsack"))) {
        for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
          Files.copy(file, measured.resolve(file.getFileName()));
        }
      }
    }
  }

  private static int measured(JsonObject answer, String name) {
    return answer.getAsJsonObject("measured").get(name).getAsInt();
  }

  private Shell.Result say(String text, Object... options) {
    Object[] line = new Object[options.length + 8];
    Object[] first = {"run", "--session", "notes", "-p", text, "--json", "--threads", 1};
    System.arraycopy(first, 0, line, 0, first.length);
    System.arraycopy(options, 0, line, first.length, options.length);
    return shell.run(line).succeeded();
  }

  @Test
  void aChatGoesOnWithoutReadingWhatWasSaid() throws IOException {
    Shell.Result first = say(TOLD);
    assertThat(first.err()).contains("session 'notes' is new", "session 'notes' saved: ");
    int read = measured(first.json(), "promptTokens");
    assertThat(measured(first.json(), "cachedTokens")).isZero();

    Shell.Result second = say("What is Kate's number?");
    assertThat(second.err()).contains("session 'notes' goes on after 2 messages; ");
    assertThat(second.json().get("text").getAsString()).contains("4821");
    assertThat(measured(second.json(), "cachedTokens")).isGreaterThanOrEqualTo(read);

    Shell.Result listed = shell.run("sessions").succeeded();
    assertThat(listed.out()).matches("(?s)notes +4 messages .* cached .*");

    // Without its cache it is read again, and knows as much.
    Path saved = cache.resolve("knapsack/sessions/notes.kv");
    byte[] bytes = Files.readAllBytes(saved);
    bytes[bytes.length / 2] ^= 1;
    Files.write(saved, bytes);
    Shell.Result third = say("Where is the blue ring?");
    assertThat(third.err())
        .contains("session 'notes' goes on after 4 messages, which are read again (")
        .contains("notes.kv: is damaged: the section of layer");
    assertThat(third.json().get("text").getAsString()).contains("library");
    assertThat(measured(third.json(), "cachedTokens")).isZero();

    Shell.Result fourth = say("When is the tennis meeting?", "--kv-format", "q8_0");
    assertThat(fourth.err()).contains("is of a cache in k=f16,v=f16, not in k=q8_0,v=q8_0");
    assertThat(fourth.json().get("text").getAsString()).contains("Monday");

    assertThat(shell.run("sessions", "--remove", "notes").succeeded().err())
        .isEqualTo("removed notes\n");
    assertThat(saved).doesNotExist();
    assertThat(shell.run("sessions").succeeded().err()).startsWith("No sessions yet.");
    shell.run("sessions", "--remove", "notes").failed(Main.BAD_FILE, "There is no session 'notes'");
  }

  @Test
  void withoutRoomForItsCacheTheConversationIsKept() {
    shell.with(SavedChats.LIMIT, "1K");
    assertThat(say(TOLD).err()).contains("not saved: it takes ", "The conversation is kept");
    Shell.Result second = say("What is Kate's number?");
    assertThat(second.err()).contains("goes on after 2 messages, which are read again");
    assertThat(second.json().get("text").getAsString()).contains("4821");
  }

  @Test
  void whatCannotBeASession() throws IOException {
    shell.run("run", "--session", "../x", "-p", "a").failed(2, "'../x' cannot be the name");
    shell.run("run", "--session", "x", "--raw", "-p", "a").failed(2, "--session keeps a chat");
    Path file = home.resolve(".local/share/knapsack/sessions/x.json");
    Files.createDirectories(file.getParent());
    Files.writeString(file, "[{\"role\":");
    shell
        .run("run", "--session", "x", "-p", "a")
        .failed(Main.BAD_FILE, "x.json: is no conversation that Knapsack has saved");
  }
}
