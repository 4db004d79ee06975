import * as openai from 'openai-6';
import { run } from './shared/openai.mjs';

await run('openai 6', openai);
