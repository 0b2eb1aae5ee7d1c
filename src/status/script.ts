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
      const main = next.querySelector('main')
      if (main === null) throw new Error('no page')
      document.querySelector('main').replaceWith(document.adoptNode(main))
      document.title = next.title
      const words = next.getElementById('live').textContent
      if (live.textContent !== words) live.textContent = words
      age.textContent = next.getElementById('age').textContent
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
