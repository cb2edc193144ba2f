/** `nginx` of `registry.example:5000/web/nginx:1.27@sha256:...`: no registry, no tag, no digest. */
export function baseNameOfImage(image: string): string {
  const [named = ""] = image.split("@");
  const last = named.slice(named.lastIndexOf("/") + 1);
  return last.split(":")[0] ?? "";
}
