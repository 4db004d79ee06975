import Anthropic from 'anthropic-old';
import { run } from './shared/anthropic.mjs';

await run('0.137', Anthropic, 'apiKey');
