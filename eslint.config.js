import js from '@eslint/js'
import ts from 'typescript-eslint'

const tapPackages = ['tap', '@tapjs/core', '@tapjs/test']

/** Rooms never import each other; only cli/ and test/ put parts together. */
const rooms = ['webhook', 'decider', 'sidecar', 'certs', 'simulator']
const others = ['cli', 'test', 'bench']
const forbid = names => ({
  'no-restricted-imports': [
    'error',
    { patterns: [{ group: names.map(name => `**/../${name}/**`), message: 'rooms know lib/ and themselves only' }] },
  ],
})

export default ts.config(
  { ignores: ['dist/', '.tap/', 'coverage/', 'node_modules/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [ts.configs.strictTypeChecked, ts.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: tapPackages.map(name => ({ from: 'package', package: name, name: ['test'] })) },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  ...rooms.map(room => ({
    files: [`${room}/**/*.ts`],
    rules: forbid([...rooms.filter(name => name !== room), ...others]),
  })),
  { files: ['lib/**/*.ts'], rules: forbid([...rooms, ...others]) },
  {
    // The form of dashboards that every Grafana in use reads; what is preferred to it needs Grafana 12.
    files: ['manifests/generate/dashboards/*.ts'],
    rules: {
      '@typescript-eslint/no-deprecated': [
        'error',
        {
          allow: [
            { from: 'package', package: '@grafana/grafana-foundation-sdk', name: ['Dashboard', 'DashboardBuilder'] },
          ],
        },
      ],
    },
  },
  { files: ['**/*.mjs', '**/*.js'], languageOptions: { globals: { process: 'readonly', console: 'readonly' } } },
)
