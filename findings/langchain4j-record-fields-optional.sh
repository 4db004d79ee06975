#!/bin/sh
# dev.langchain4j:langchain4j 1.19.0: the JSON schema that an AI service makes of a record requires none of its components, not even
# primitive ones. A model that is held to the schema may answer {}, and the caller gets a record with null and 0; nothing is thrown.
# A component is required where it says @JsonProperty(required = true); then {} is refused.
# Seen: required [] and Recipe[name=null, minutes=0]; with the annotation required [name] and an exception.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >pom.xml <<'END'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>finding</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>dev.langchain4j</groupId>
      <artifactId>langchain4j</artifactId>
      <version>1.19.0</version>
    </dependency>
  </dependencies>
</project>
END
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies -DoutputDirectory=lib -Dmaven.repo.local="$work/m2" >&2
cat >Finding.java <<'END'
import com.fasterxml.jackson.annotation.JsonProperty;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.service.AiServices;
import java.util.Set;

public class Finding {
  record Recipe(String name, int minutes) {}

  record Marked(@JsonProperty(required = true) String name, int minutes) {}

  interface Cook {
    Recipe recipe(String wish);

    Marked marked(String wish);
  }

  public static void main(String[] args) {
    ChatModel model = new ChatModel() {
      @Override
      public Set<Capability> supportedCapabilities() {
        return Set.of(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
      }

      @Override
      public ChatResponse doChat(ChatRequest request) {
        var schema = (JsonObjectSchema) request.responseFormat().jsonSchema().rootElement();
        System.out.println("properties " + schema.properties().keySet() + ", required " + schema.required());
        return ChatResponse.builder().aiMessage(AiMessage.from("{}")).build();
      }
    };
    Cook cook = AiServices.create(Cook.class, model);
    System.out.println(cook.recipe("soup"));
    try {
      System.out.println(cook.marked("soup"));
    } catch (RuntimeException e) {
      System.out.println("refused");
    }
  }
}
END
expected='properties [name, minutes], required []
Recipe[name=null, minutes=0]
properties [name, minutes], required [name]
refused'
actual=$(java -cp 'lib/*' Finding.java 2>/dev/null)
echo "$actual"
[ "$actual" = "$expected" ] || { echo "expected: $expected" >&2; exit 1; }
