import * as openai from 'openai';
import { run } from './shared/openai.mjs';

await run('openai 7', openai);
