/** What stands in for the console where it is not built. It holds nothing of anybody and runs nothing. */
export const MISSING_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Postern</title>
<link rel="icon" href="data:,">
</head>
<body>
<main>
<h1>Postern runs; its console is not built</h1>
<p>Models, the API and the command line work. The terminal that Postern was started in says why the console could not be built.</p>
<p>To build it: <code>npm run build</code>, then start Postern again. Until then: <code>npm run postern -- --help</code>.</p>
<p><a href="/presence">Show presence</a></p>
</main>
</body>
</html>
`;
