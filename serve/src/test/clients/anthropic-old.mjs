import Anthropic from 'anthropic-old';
import { run } from './anthropic.js';

await run('0.137', Anthropic, 'apiKey');
