/**
 * Fetches the page again and replaces its main part, so that no second renderer is needed. It polls two seconds after the last answer, backs
 * off while the server does not answer, and pauses while the tab is in the background.
 */
export const script = `
(() => {
  const live = document.getElementById('live')
  const age = document.getElementById('age')
  const usual = 2000
  let delay = usual
  let timer
  let loading = false
  let since = Date.now()
  const plan = () => {
    clearTimeout(timer)
    if (!document.hidden) timer = setTimeout(load, delay)
  }
  async function load() {
    if (loading) return
    loading = true
    try {
      const signal = AbortSignal.timeout(10000)
      const response = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store', signal })
      const next = new DOMParser().parseFromString(await response.text(), 'text/html')
      // throws for another page, such as that of a login, before anything is replaced
      const words = next.getElementById('live').textContent
      const at = next.getElementById('age').textContent
      document.querySelector('main').replaceWith(document.adoptNode(next.querySelector('main')))
      document.title = next.title
      if (live.textContent !== words) live.textContent = words
      age.textContent = at
      document.documentElement.classList.remove('stale')
      delay = usual
      since = Date.now()
    } catch {
      delay = Math.min(delay * 2, 30000)
      document.documentElement.classList.add('stale')
      age.textContent = 'No answer for ' + Math.round((Date.now() - since) / 1000) + ' s: this page is out of date'
    }
    loading = false
    plan()
  }
  document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : load()))
  plan()
})()
`.trim()
