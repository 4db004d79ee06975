import { Ollama } from 'ollama';
import assert from 'node:assert/strict';
import {
  answer, check, cosine, embedder, key, model, question, rehearsedServer, report, server,
} from './shared/checks.mjs';

const headers = { Authorization: `Bearer ${key}` };
const open = () => new Ollama({ host: server, headers });
const client = open();

function ask(more = {}) {
  return { model, messages: [{ role: 'user', content: question }], options: { temperature: 0 }, ...more };
}

await check('chat', async () => {
  const whole = await client.chat(ask());
  assert.equal(whole.message.role, 'assistant');
  assert.equal(whole.message.content.trim(), answer);
  assert.equal(whole.done, true);
  assert.equal(whole.done_reason, 'stop');
  assert.ok(whole.eval_count > 0 && whole.prompt_eval_count > 0 && whole.total_duration > 0);
});

await check('stream', async () => {
  const pieces = [];
  let last;
  for await (const part of await client.chat(ask({ stream: true, model: 'notes:latest' }))) {
    pieces.push(part.message.content);
    last = part;
  }
  assert.ok(pieces.length > 2);
  assert.equal(pieces.join('').trim(), answer);
  assert.equal(last.done, true);
  assert.equal(last.eval_count, pieces.length - 1);
});

await check('embed', async () => {
  const two = await client.embed({ model: embedder, input: ['a cat', 'the hill'] });
  assert.deepEqual(two.embeddings.map((e) => e.length), [32, 32]);
  assert.ok(cosine(...two.embeddings) < 0.9999);
  assert.ok(two.prompt_eval_count > 0 && two.total_duration > 0);
  const cut = await client.embed({ model: embedder, input: 'a'.repeat(100) });
  assert.equal(cut.embeddings.length, 1);
  await assert.rejects(
    client.embed({ model: embedder, input: 'a'.repeat(100), truncate: false }), /102 tokens/);
  const old = await client.embeddings({ model: embedder, prompt: 'a cat' });
  assert.ok(Math.abs(cosine(old.embedding, two.embeddings[0]) - 1) < 1e-6);
  await assert.rejects(client.embed({ model, input: 'a' }), /small/);
});

await check('generate', async () => {
  const whole = await client.generate({ model, prompt: question, options: { temperature: 0 } });
  assert.equal(whole.response.trim(), answer);
  const cut = await client.generate({
    model,
    prompt: question,
    system: 'Be brief.',
    options: { num_predict: 2 },
  });
  assert.equal(cut.done_reason, 'length');
  assert.equal(cut.eval_count, 2);
});

await check('thoughts, calls and their results', async () => {
  const tools = [
    {
      type: 'function',
      function: {
        name: 'f',
        description: 'Finds a thing.',
        parameters: { type: 'object', properties: { x: { type: 'integer' } } },
      },
    },
  ];
  const rehearsed = new Ollama({ host: rehearsedServer });
  const called = await rehearsed.chat(ask({ tools, think: true }));
  assert.equal(called.message.thinking, 'Hm. So.');
  assert.equal(called.message.content, 'Let me look.');
  const names = called.message.tool_calls.map((call) => call.function.name);
  assert.deepEqual(names, ['f', 'g']);
  assert.deepEqual(called.message.tool_calls[0].function.arguments, { x: 1 });
  const streamed = [];
  for await (const part of await rehearsed.chat(ask({ tools, stream: true }))) {
    streamed.push(...(part.message.tool_calls ?? []));
  }
  assert.deepEqual(streamed, called.message.tool_calls);

  const whole = await client.chat(
    ask({
      think: false,
      keep_alive: '5m',
      tools,
      messages: [
        { role: 'user', content: 'Find the ring.' },
        called.message,
        { role: 'tool', content: 'In the library.', tool_name: 'f' },
        { role: 'tool', content: 'No.', tool_name: 'g' },
        { role: 'user', content: 'Where is it?' },
      ],
    }),
  );
  assert.equal(whole.message.role, 'assistant');
  assert.equal(whole.done, true);
});

await check('error in a stream', async () => {
  const rehearsed = new Ollama({ host: rehearsedServer });
  await assert.rejects(async () => {
    for await (const part of await rehearsed.chat(ask({ stream: true, model: 'broken' }))) {
      assert.ok(part.message);
    }
  }, /No token can be chosen/);
});

await check('models', async () => {
  const { models } = await client.list();
  assert.equal(models[0].name, 'notes:latest');
  const shown = await client.show({ model: models[0].name });
  assert.ok(shown.capabilities.includes('completion'));
  assert.equal((await client.ps()).models[0].name, 'notes:latest');
  assert.ok((await client.version()).version);
});

await check('structured', async () => {
  const format = {
    type: 'object',
    properties: { place: { enum: ['library', 'kitchen'] } },
    required: ['place'],
    additionalProperties: false,
  };
  const reply = await client.chat(ask({ format }));
  assert.ok(format.properties.place.enum.includes(JSON.parse(reply.message.content).place));
});

await check('errors', async () => {
  await assert.rejects(client.chat(ask({ model: 'none' })), { status_code: 404, message: /none/ });
  await assert.rejects(client.chat(ask({ format: 'yaml' })), { status_code: 400, message: /format/ });
  await assert.rejects(
    client.chat(ask({ messages: [{ role: 'user', content: 'x', images: ['aGk='] }] })),
    { status_code: 400, message: /images/ },
  );
  await assert.rejects(new Ollama({ host: server }).chat(ask()), { status_code: 401 });
});

await check('abort', async () => {
  const other = open();
  const stream = await other.chat(ask({ stream: true }));
  await assert.rejects(
    async () => {
      for await (const part of stream) {
        assert.ok(part.model);
        other.abort();
      }
    },
    { name: 'AbortError' },
  );
  assert.equal((await client.chat(ask())).done, true);
});

report('ollama');
